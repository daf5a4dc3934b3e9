using System.CommandLine;
using System.Globalization;
using Mgmt.Cli.Rendering;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>create</summary>
internal static class CreateVerb
{
    public const string ClassName = "VMCLASS";
    public const string PoolWords = "POOL|VOLUME=POOL";

    private static readonly Argument<string> Name = new("NAME") { Description = "The new VM's name" };
    private static readonly Option<string?> Class = new("--class") { Description = "AppVM (default), TemplateVM, StandaloneVM, DispVM", HelpName = ClassName };
    private static readonly Option<string> Template = new("--template") { Description = "What its root volume comes from; the host's default_template when not given", HelpName = "VM", DefaultValueFactory = _ => "" };
    private static readonly Option<string?> Label = new("--label") { Description = "Its label; red when not given", HelpName = LabelVerb.LabelName };
    private static readonly Option<string[]> Pools = new("--pool") { Description = "The pool of its volumes, or of one of them; may repeat", HelpName = PoolWords };
    private static readonly Option<FileInfo?> RootImage = new("--root-image") { Description = "A TemplateVM whose root volume is this raw disk image", HelpName = "FILE" };

    public static Command Create(CommandLine cli)
    {
        string[] examples =
        [
            "mgmtctl create work --template debian --label blue",
            "mgmtctl create vault --class StandaloneVM --label black --pool private=fast --pool root=big",
            "mgmtctl create debian --class TemplateVM --root-image debian.raw",
        ];
        return cli.Verb("create", "Create a VM", examples, [Name, Class, Template, Label, Pools, RootImage], (run, token) =>
            run.Get(RootImage) is { } image ? FromImageAsync(run, image, token) : FromTemplateAsync(run, token));
    }

    private static async Task<int> FromTemplateAsync(Run run, CancellationToken cancellationToken)
    {
        var pools = WordsOf(run.Get(Pools) ?? []);
        var method = (pools.Length == 0 ? "mgmt.vm.Create." : "mgmt.vm.CreateInPool.") + (run.Get(Class) ?? "AppVM");
        await run.Daemon.CallAsync(method, run.Get(Template)!, Daemon.Host, $"name={Symbols.Word(run.Get(Name)!)} label={Symbols.Word(run.Get(Label) ?? "red")}{pools}", cancellationToken);
        return ExitCode.Done;
    }

    private static async Task<int> FromImageAsync(Run run, FileInfo image, CancellationToken cancellationToken)
    {
        if (run.Get(Class) is not (null or "TemplateVM") || run.Get(Template) is { Length: > 0 } || run.Get(Pools) is { Length: > 0 })
        {
            throw new UsageException("--root-image makes a TemplateVM and goes with neither --template nor --pool");
        }
        var name = run.Get(Name)!;
        await using var file = image.OpenRead();
        var size = file.Length.ToString(CultureInfo.InvariantCulture);
        await ProgressBar.RunAsync(run.Terminal, name, file.Length, progress =>
            run.Daemon.CallAsync(RequestHeader.ToDom0("mgmt.vm.CreateTemplate", $"{name}+{size}"), file, progress, cancellationToken));
        if (run.Get(Label) is { } label)
        {
            await run.Daemon.CallAsync("mgmt.vm.property.Set", "label", name, label, cancellationToken);
        }
        return ExitCode.Done;
    }

    private static string WordsOf(string[] pools)
    {
        if (pools.Length > 1 && pools.Any(pool => !pool.Contains('=', StringComparison.Ordinal)))
        {
            throw new UsageException("--pool is given once as POOL, or as VOLUME=POOL for each volume");
        }
        return string.Concat(pools.Select(pool => pool.Contains('=', StringComparison.Ordinal) ? " pool:" + Symbols.Word(pool) : " pool=" + Symbols.Word(pool)));
    }
}
