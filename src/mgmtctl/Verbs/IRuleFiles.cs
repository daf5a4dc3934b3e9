namespace Mgmt.Cli.Verbs;

/// <summary>The rule files that are edited: a daemon's by its calls, or those of a directory. ERRORS: MgmtException.</summary>
internal interface IRuleFiles
{
    /// <summary>The token of a file's version and its bytes. ERRORS: QubesException when there is none.</summary>
    Task<(string Token, ReadOnlyMemory<byte> Bytes)> ReadAsync(string name, bool include, CancellationToken cancellationToken);

    /// <summary>Writes a file, if its version is the one that is meant and the policy as a whole stays valid; warnings are told.</summary>
    Task ReplaceAsync(string name, bool include, string token, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);
}
