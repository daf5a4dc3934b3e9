namespace Mgmt.Qrexec;

/// <summary>A service that is to be run on the host, and what it is told. SOURCE: qrexec, as of qubes-core-qrexec 4.3.</summary>
/// <param name="Name">The service, without an argument.</param>
/// <param name="Argument">Without its <c>+</c>; empty for none.</param>
/// <param name="Source">Who calls.</param>
/// <param name="Target">What the caller asked for: a name, or a keyword with its <c>@</c>. dom0 is <c>@adminvm</c>.</param>
public sealed record ServiceRequest(string Name, string Argument, string Source, string Target)
{
    /// <summary><c>NAME+ARGUMENT</c>; the <c>+</c> is always there.</summary>
    public string FullName => $"{Name}+{Argument}";

    /// <summary>Whether the target is a keyword.</summary>
    public bool HasKeyword => TargetWord.StartsWith('@');

    /// <summary>The target without an <c>@</c>.</summary>
    public string TargetText => TargetWord.TrimStart('@');

    /// <summary>What a socket is told first, unless its configuration leaves it out. SHAPE: <c>NAME+ARGUMENT SOURCE keyword|name TARGET</c> NUL.</summary>
    public string Header => $"{FullName} {Source} {(HasKeyword ? "keyword" : "name")} {TargetText}\0";

    private string TargetWord => Target switch { "" => "@default", "dom0" => "@adminvm", _ => Target };

    /// <summary>What a program finds in its environment.</summary>
    public IEnumerable<KeyValuePair<string, string>> Environment =>
    [
        new("QREXEC_REMOTE_DOMAIN", Source),
        new("QREXEC_SERVICE_FULL_NAME", FullName),
        new("QREXEC_SERVICE_ARGUMENT", Argument),
        new("QREXEC_REQUESTED_TARGET_TYPE", HasKeyword ? "keyword" : "name"),
        new(HasKeyword ? "QREXEC_REQUESTED_TARGET_KEYWORD" : "QREXEC_REQUESTED_TARGET", TargetText),
    ];
}
