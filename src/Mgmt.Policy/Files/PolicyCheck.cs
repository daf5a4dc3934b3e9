using Mgmt.Core;
using System.Text;

namespace Mgmt.Policy;

/// <summary>Whether the policy stays whole with a change, and whether its author stays able to undo it.</summary>
/// <param name="folder">The files.</param>
/// <param name="options">How they become a set. Includes are confined for those who may change rule files and nothing else on the host.</param>
public sealed class PolicyCheck(PolicyFolder folder, PolicyOptions options)
{
    private const int ShownMistakes = 10;

    /// <summary>
    /// Loads the whole set as it would be (null bytes: without the file). Mistakes elsewhere refuse the change too, unless it mends some and makes
    /// none: then there is no set, and the warning says so. ERRORS: QubesException with each mistake as FILE:LINE: TEXT.
    /// </summary>
    public PolicySet? Load(PolicyFileName file, ReadOnlyMemory<byte>? bytes, out string? warning)
    {
        warning = null;
        var now = PolicySource.FromDirectories(folder.Directories);
        var then = now.With(folder.PathOf(file), bytes);
        var load = PolicySet.Load(then, options);
        if (load.Set is null)
        {
            RefuseUnlessMending(PolicySet.Load(now, options).Errors, load.Errors);
            warning = $"the rules in force stay until the rest is mended: {Describe(load.Errors)}";
        }
        else if (bytes is not null && folder.HiddenBy(file) is { } hiding)
        {
            // The set does not have it, so it is looked at as if nothing hid it.
            RefuseBroken(PolicySet.Load(PolicySource.FromDirectories([folder.Writable]).With(folder.PathOf(file), bytes), options));
            warning = $"without effect while there is {hiding}, which hides it";
        }
        else if (bytes is not null && !load.Set.Files.Contains(file.Path))
        {
            CheckUnused(then, file);
        }
        return load.Set;
    }

    /// <summary>ERRORS: QubesException when the caller may call one of the services now, and with the new set no longer.</summary>
    public static void KeepAccess(PolicySet before, PolicySet after, string source, string argument, IDomainDirectory domains, params IEnumerable<string> services)
    {
        foreach (var service in services)
        {
            var question = new PolicyRequest(service, "+" + argument, source, "dom0");
            if (before.DecideCall(question, domains).Allowed && after.DecideCall(question, domains) is { Allowed: false } denied)
            {
                throw new MgmtException(ErrorCode.QubesException,
                    "%s could then no longer call %s+%s (rule %s); put force: before the token to lock yourself out all the same", source, service, argument, denied.Rule);
            }
        }
    }

    // A file that nothing includes yet does no harm, but would when it is: it has to be right in one of the two formats.
    private void CheckUnused(PolicySource source, PolicyFileName file)
    {
        var user = $"00-{Guid.NewGuid():N}.policy";
        var loads = new[] { $"!include {file.Path}\n", $"!include-service mgmt.Info * {file.Path}\n" }
            .Select(line => PolicySet.Load(source.With(user, Encoding.UTF8.GetBytes(line)), options)).ToList();
        if (loads.All(load => load.Set is null))
        {
            RefuseBroken(loads.MinBy(load => load.Errors.Count)!);
        }
    }

    private static void RefuseUnlessMending(IReadOnlyList<PolicyDiagnostic> before, IReadOnlyList<PolicyDiagnostic> after)
    {
        if (after.Count >= before.Count || !after.All(before.Contains))
        {
            throw Broken(after);
        }
    }

    private static void RefuseBroken(PolicyLoad load)
    {
        if (load.Set is null)
        {
            throw Broken(load.Errors);
        }
    }

    private static MgmtException Broken(IReadOnlyList<PolicyDiagnostic> mistakes) =>
        new(ErrorCode.QubesException, "The policy would be broken, so nothing was changed: %s", Describe(mistakes));

    /// <summary>Mistakes as FILE:LINE: TEXT, not more than fit a message.</summary>
    public static string Describe(IReadOnlyList<PolicyDiagnostic> mistakes)
    {
        var shown = mistakes.Take(ShownMistakes).Select(mistake => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{mistake.File}:{mistake.Line}: {mistake.Message}"));
        return string.Join("; ", shown) + (mistakes.Count > ShownMistakes ? $"; and {mistakes.Count - ShownMistakes} more" : "");
    }
}
