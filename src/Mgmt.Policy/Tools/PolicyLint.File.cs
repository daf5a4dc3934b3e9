using System.Text;

namespace Mgmt.Policy;

// One file, in the place it has or would have.
public sealed partial class PolicyLint
{
    // A file that includes the one in question, beside the files there are; in memory only.
    private const string Probe = "00-lint-probe.policy";

    /// <summary>Everything wrong with a set.</summary>
    /// <param name="source">Where the set is.</param>
    /// <param name="options">How it is loaded.</param>
    /// <param name="domains">The VMs; null leaves out what needs them.</param>
    public static LintReport Check(PolicySource source, PolicyOptions options, IDomainDirectory? domains)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        var load = PolicySet.Load(source, options);
        return new LintReport(load.Errors, [.. LeadingNowhere(source, options), .. Warnings(load, domains)]);
    }

    // The language passes such a link over without a word, and with it whatever rules it was meant to bring.
    private static IEnumerable<PolicyDiagnostic> LeadingNowhere(PolicySource source, PolicyOptions options)
    {
        var places = new PolicyPlaces(source, options.LegacyDirectory);
        return source.Directories
            .SelectMany(directory => source.Files.LeadingNowhere(directory.Path).Where(PolicyFileNames.IsTaken).Order(StringComparer.Ordinal).Select(name => places.Display(Path.Join(directory.Path, name))))
            .Select(name => new PolicyDiagnostic(name, 1, 1, "this is a link that leads to no file, so it is passed over"));
    }

    /// <summary>
    /// Everything wrong with one file as part of a set. A file that nothing includes is checked all the same: in the rules' format and in the one of
    /// files for one service, and what counts is the format it has fewer errors in.
    /// </summary>
    /// <param name="source">The set.</param>
    /// <param name="options">How it is loaded.</param>
    /// <param name="path">Where the file is or would be: absolute, or relative to the last policy directory.</param>
    /// <param name="bytes">What it says.</param>
    /// <param name="domains">The VMs; null leaves out what needs them.</param>
    public static LintReport CheckFile(PolicySource source, PolicyOptions options, string path, ReadOnlyMemory<byte> bytes, IDomainDirectory? domains)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        path = Path.GetFullPath(path, source.Directories[^1].Path);
        var display = new PolicyPlaces(source, options.LegacyDirectory).Display(path);
        var changed = source.With(path, bytes);
        var load = PolicySet.Load(changed, options);
        if (!load.Inputs.Any(file => file.FullPath == path) && !load.Errors.Any(error => error.File == display))
        {
            load = PolicySet.Load(changed.With(Probe, Encoding.UTF8.GetBytes($"!include {path}")), options);
            var service = PolicySet.Load(changed.With(Probe, Encoding.UTF8.GetBytes($"!include-service lint * {path}")), options);
            if (ErrorsOf(service, display).Count < ErrorsOf(load, display).Count)
                load = service;
        }
        return new LintReport(ErrorsOf(load, display), [.. Warnings(load, domains).Where(warning => warning.File == display)]);
    }

    private static List<PolicyDiagnostic> ErrorsOf(PolicyLoad load, string display) =>
        [.. load.Errors.Where(error => error.File == display || error.File == Probe).Select(error => error with { File = display })];
}
