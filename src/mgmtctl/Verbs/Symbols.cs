using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>Arguments that several verbs have. Completion knows VMs by the name of the argument.</summary>
internal static class Symbols
{
    public const string VmName = "VM";

    public static Argument<string> Vm() => new(VmName) { Description = "The VM" };

    public static Argument<string?> OptionalVm() => new(VmName) { Description = "The VM", Arity = ArgumentArity.ZeroOrOne };

    public static Argument<string[]> Vms() => new(VmName) { Description = "The VMs", Arity = ArgumentArity.OneOrMore };

    /// <summary>Up to so many words, the first of which may be a VM.</summary>
    public static Argument<string[]> Words(string name, string description, int most) =>
        new(name) { Description = description, Arity = new ArgumentArity(0, most) };

    /// <summary>A table of what a list call and one info call per item give.</summary>
    public static async Task<int> InfoTableAsync(Run run, string[] columns, IEnumerable<string> items, Func<string, Task<string>> info)
    {
        var rows = new List<object?[]>();
        foreach (var item in items)
        {
            var facts = KeyValues.OfLines(await info(item));
            rows.Add([item, .. columns[1..].Select(facts.Find)]);
        }
        run.Output.Table(columns, rows);
        return ExitCode.Done;
    }
}
