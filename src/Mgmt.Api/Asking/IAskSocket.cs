namespace Mgmt.Api;

/// <summary>An agent that is reached anew for each question.</summary>
public interface IAskSocket
{
    /// <summary>What it is called in the log.</summary>
    string Name { get; }

    /// <summary>Asks it. <c>allow:TARGET</c>, <c>deny</c> or whatever it says; null when nobody is there or it went away without a word.</summary>
    Task<string?> AskAsync(AskQuestion question, CancellationToken cancellation);
}
