namespace Mgmt.Policy;

/// <summary>Which tokens match a word of a request: the language's matching table, read from the word's side.</summary>
internal readonly struct TokenMatcher(TokenIds ids, IDomainDirectory domains)
{
    public void Source(string word, ref TokenSet set)
    {
        set.Add(TokenIds.Any);
        set.Add(Spelling.IsDom0(word) ? TokenIds.AdminVm : TokenIds.AnyVm);
        if (!word.StartsWith('@'))
            Named(word, domains.Find(word), ref set);
    }

    /// <summary>Adds what matches a target; the source matters for `@dispvm` alone.</summary>
    public void Target(string word, string source, ref TokenSet set)
    {
        set.Add(TokenIds.Any);
        set.Add(Spelling.IsDom0(word) ? TokenIds.AdminVm : TokenIds.AnyVm);
        if (!word.StartsWith('@'))
            Named(word, domains.Find(word), ref set);
        else if (word == Spelling.Default)
            set.Add(TokenIds.Default);
        else if (word == Spelling.DispVm)
            DefaultDispVm(source, ref set);
        else if (word.StartsWith(Spelling.DispVmPrefix, StringComparison.Ordinal))
            DispVmOf(word[Spelling.DispVmPrefix.Length..], ref set);
    }

    private void Named(string word, DomainInfo? domain, ref TokenSet set)
    {
        // dom0's spellings are one token; as names they match nothing else.
        if (!Spelling.IsDom0(word))
        {
            if (word.StartsWith(Spelling.UuidPrefix, StringComparison.Ordinal))
                set.Add(ids.Find(TokenKind.Uuid, word.AsSpan(Spelling.UuidPrefix.Length)));
            else
                set.Add(ids.Find(TokenKind.Name, word));
            if (domain is not null)
                Alias(word, domain, ref set);
        }
        if (domain is null)
            return;
        set.Add(ids.Find(TokenKind.Type, domain.Type));
        AddTags(TokenKind.Tag, domain, ref set);
    }

    // The same VM under its other name.
    private void Alias(string word, DomainInfo domain, ref TokenSet set) =>
        set.Add(word.StartsWith(Spelling.UuidPrefix, StringComparison.Ordinal) ? ids.Find(TokenKind.Name, domain.Name) : ids.Find(TokenKind.Uuid, domain.Uuid));

    private void AddTags(TokenKind kind, DomainInfo domain, ref TokenSet set)
    {
        if (!ids.Has(kind))
            return;
        // By index: enumerating a sorted set takes an object from a pool.
        for (var i = 0; i < domain.Tags.Count; i++)
            set.Add(ids.Find(kind, domain.Tags[i]));
    }

    // A rule @dispvm:X matches the request @dispvm when X is, to the letter, the source's default template: a rule that
    // says it by UUID does not (Q3). A source without one, or with one that is gone, matches no such rule (Q2, Q4).
    private void DefaultDispVm(string source, ref TokenSet set)
    {
        set.Add(TokenIds.DispVm);
        if (domains.Find(source)?.DefaultDispvm is not { } name)
            return;
        set.Add(ids.Find(TokenKind.DispVmOf, name));
        if (domains.Find(name) is { TemplateForDispvms: true } template)
            AddTags(TokenKind.DispVmTag, template, ref set);
    }

    private void DispVmOf(string name, ref TokenSet set)
    {
        set.Add(ids.Find(TokenKind.DispVmOf, name));
        if (domains.Find(name) is not { } template)
            return;
        var isUuid = name.StartsWith(Spelling.UuidPrefix, StringComparison.Ordinal);
        set.Add(ids.Find(TokenKind.DispVmOf, isUuid ? template.Name : Spelling.UuidPrefix + template.Uuid));
        if (template.TemplateForDispvms)
            AddTags(TokenKind.DispVmTag, template, ref set);
    }
}
