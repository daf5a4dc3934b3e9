using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>Rule files on disk, checked and written as the daemon does it.</summary>
internal sealed class DirectoryRuleFiles : IRuleFiles
{
    private readonly Run _run;
    private readonly PolicyRules _rules;
    private readonly PolicyFolder _folder;
    private readonly PolicyCheck _check;

    /// <param name="run">Whom to tell of warnings.</param>
    /// <param name="rules">Where the files are; the last directory is edited.</param>
    public DirectoryRuleFiles(Run run, PolicyRules rules)
    {
        _run = run;
        _rules = rules;
        _folder = new([.. rules.Directories.Select((path, index) => new PolicyDirectory(path, MayBeMissing: index < rules.Directories.Count - 1))]);
        _check = new(_folder, PolicyInputs.Options);
    }

    public Task<(string Token, ReadOnlyMemory<byte> Bytes)> ReadAsync(string name, bool include, CancellationToken cancellationToken) => Task.FromResult(Disk(() =>
    {
        var file = PolicyFileName.Parse(include, name);
        var bytes = _folder.Read(file) ?? throw new MgmtException(ErrorCode.QubesException, "No such policy file: %s", _folder.PathOf(file));
        return (PolicyToken.Of(bytes), (ReadOnlyMemory<byte>)bytes);
    }));

    public Task ReplaceAsync(string name, bool include, string token, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var file = PolicyFileName.Parse(include, name);
        var warning = Disk(() =>
        {
            _check.Load(file, bytes, out var problem);
            // Last, so that as little as possible can happen in between.
            PolicyToken.Parse(token).Check(file, _folder.Read(file));
            _folder.Write(file, bytes.Span);
            return problem;
        });
        if (warning is not null)
        {
            _run.Tell("warning: " + warning);
        }
        return WarnAsync(file, bytes, cancellationToken);
    }

    /// <summary>Keeps a copy of a file beside it, as NAME.bak.</summary>
    public void Keep(string name, bool include, ReadOnlySpan<byte> bytes)
    {
        var path = _folder.PathOf(PolicyFileName.Parse(include, name));
        var mode = DurableFile.Look(path, followLinks: false)?.Mode ?? UnixFileMode.UserRead | UnixFileMode.UserWrite;
        DurableFile.Write(path + ".bak", bytes, mode, null);
    }

    // What lint would warn of. The VMs are known here only when they are given.
    private async Task WarnAsync(PolicyFileName file, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var domains = _run.Get(PolicyInputs.SystemInfo) is null ? null : await PolicyInputs.DomainsAsync(_run, cancellationToken);
        foreach (var warning in PolicyLint.CheckFile(_rules.Source, PolicyInputs.Options, file.Path, bytes, domains).Warnings)
        {
            _run.Tell($"warning: {warning}");
        }
    }

    private static T Disk<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "%s", error.Message);
        }
    }
}
