namespace Mgmt.Policy;

/// <summary>A word of a rule's source, target, `target=` or `default_target=`.</summary>
/// <param name="Kind">What it means.</param>
/// <param name="Value">What follows its prefix (name, UUID, tag, type, template); empty when the kind says it all.</param>
/// <param name="Text">The word as written.</param>
internal readonly record struct Token(TokenKind Kind, string Value, string Text);
