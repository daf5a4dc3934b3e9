using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>Arguments that several verbs have. Completion knows VMs by the name of the argument.</summary>
internal static class Symbols
{
    public const string VmName = "VM";

    /// <summary>An argument of this name takes negative numbers too.</summary>
    public const string SettingValue = "VALUE";

    public static Argument<string> Vm() => new(VmName) { Description = "The VM" };

    public static Argument<string?> OptionalVm() => new(VmName) { Description = "The VM", Arity = ArgumentArity.ZeroOrOne };

    public static Argument<string[]> Vms() => new(VmName) { Description = "The VMs", Arity = ArgumentArity.OneOrMore };

    /// <summary>Up to so many words, the first of which may be a VM.</summary>
    public static Argument<string[]> Words(string name, string description, int most) =>
        new(name) { Description = description, Arity = new ArgumentArity(0, most) };

    /// <summary>A word of a payload that is words between spaces: a space in it would be a second word. ERRORS: UsageException.</summary>
    public static string Word(string text) =>
        text.Any(char.IsWhiteSpace) || text.Length == 0 ? throw new UsageException($"'{text}' is empty or holds a space") : text;

    public static Argument<string> Size() => new("SIZE") { Description = "Bytes, or such as 512MiB or 10GiB" };

    public static Option<bool> Progress() => new("--progress") { Description = "Where no terminal shows a bar: a line on standard error at most each second" };

    /// <summary>A table of what a list call and one info call per item give. <paramref name="sizes"/>: which columns are numbers of bytes.</summary>
    public static async Task<int> InfoTableAsync(Run run, string[] columns, string[] sizes, IEnumerable<string> items, Func<string, Task<string>> info)
    {
        var rows = new List<object?[]>();
        foreach (var item in items)
        {
            var facts = KeyValues.OfLines(await info(item));
            rows.Add([item, .. columns[1..].Select(column => sizes.Contains(column) ? ByteSize.Cell(facts.Find(column)) : facts.Find(column))]);
        }
        run.Output.Table(columns, rows);
        return ExitCode.Done;
    }
}
