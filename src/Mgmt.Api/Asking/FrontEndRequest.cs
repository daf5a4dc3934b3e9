namespace Mgmt.Api;

/// <summary>What a qrexec front end asks its policy daemon. SOURCE: qrexec-policy-daemon of qubes-core-qrexec 4.4.2.</summary>
/// <param name="Source">Whose call it is.</param>
/// <param name="Target">What the caller asked for; empty is <c>@default</c>.</param>
/// <param name="Service">The service.</param>
/// <param name="Argument"><c>+</c> and the argument.</param>
public sealed record FrontEndRequest(string Source, string Target, string Service, string Argument)
{
    /// <summary>The RemoteVM that Source relays for.</summary>
    public string? RequestedSource { get; init; }

    /// <summary>Whether an ask is answered yes with the requested target, without asking anybody.</summary>
    public bool AssumeYes { get; init; }

    /// <summary>Whether nothing will follow: nobody is asked or told.</summary>
    public bool JustEvaluate { get; init; }
}
