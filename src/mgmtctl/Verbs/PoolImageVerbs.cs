using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>pool image ls, clone, rm, rename, set, limit; pool limit</summary>
internal static class PoolImageVerbs
{
    /// <summary>Completion knows images of the pool before them by the name of the argument.</summary>
    public const string ImageName = "IMAGE";

    private const string None = "none";

    public static Command Create(CommandLine cli) =>
        cli.Group("image", "Images of systemd-machined, in a pool of driver machined", ["mgmtctl pool image ls machines", "mgmtctl pool image clone machines debian web"],
            List(cli), Clone(cli), Remove(cli), Rename(cli), Set(cli), Limit(cli));

    public static Command PoolLimit(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        var size = Bytes();
        return cli.Verb("limit", "Limit what all images of a pool of driver machined take together", ["mgmtctl pool limit machines 100GiB", "mgmtctl pool limit machines none"], [pool, size], async (run, token) =>
        {
            await run.Daemon.CallAsync("mgmt.pool.SetLimit", run.Get(pool)!, Daemon.Host, Text(run.Get(size)!), token);
            return ExitCode.Done;
        });
    }

    private static Command List(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        return cli.Verb("ls", "List the images", ["mgmtctl pool image ls machines"], [pool], async (run, token) =>
        {
            var lines = await run.Daemon.LinesAsync("mgmt.pool.image.List", run.Get(pool)!, Daemon.Host, token);
            run.Output.Table(["name", "type", "rw", "usage"], [.. lines.Select(line => KeyValues.OfWords(line))
                .Select(words => new[] { words[0].Key, words.Find("type"), words.Find("rw"), ByteSize.Cell(words.Find("usage")) })]);
            return ExitCode.Done;
        });
    }

    private static Command Clone(CommandLine cli)
    {
        var (pool, image, name) = (PoolVerb.Argument(), Image(), NewName());
        var readOnly = new Option<bool>("--read-only") { Description = "Mark the copy read-only" };
        return cli.Verb("clone", "Copy an image", ["mgmtctl pool image clone machines debian web"], [pool, image, name, readOnly], (run, token) =>
            CallAsync(run, "Clone", run.Get(pool)!, $"{Word(run, image)} {Word(run, name)}{(run.Get(readOnly) ? " read-only" : "")}", token));
    }

    private static Command Remove(CommandLine cli)
    {
        var pool = PoolVerb.Argument();
        var images = new Argument<string[]>(ImageName) { Description = "The images", Arity = ArgumentArity.OneOrMore };
        var force = new Option<bool>("--force") { Description = "Read-only ones too" };
        return cli.Verb("rm", "Remove images that no VM has", ["mgmtctl pool image rm machines web"], [pool, images, force], (run, token) =>
            run.EachAsync(run.Get(images)!, together: false, image => CallAsync(run, "Remove", run.Get(pool)!, Symbols.Word(image) + (run.Get(force) ? " force" : ""), token)));
    }

    private static Command Rename(CommandLine cli)
    {
        var (pool, image, name) = (PoolVerb.Argument(), Image(), NewName());
        return cli.Verb("rename", "Give an image that no VM has another name", ["mgmtctl pool image rename machines web web-old"], [pool, image, name], (run, token) =>
            CallAsync(run, "Rename", run.Get(pool)!, $"{Word(run, image)} {Word(run, name)}", token));
    }

    private static Command Set(CommandLine cli)
    {
        var (pool, image) = (PoolVerb.Argument(), Image());
        var mark = new Argument<string>("MARK") { Description = "ro or rw" };
        mark.AcceptOnlyFromAmong("ro", "rw");
        return cli.Verb("set", "Mark an image read-only, or writable", ["mgmtctl pool image set machines web ro"], [pool, image, mark], (run, token) =>
            CallAsync(run, "SetReadOnly", run.Get(pool)!, $"{Word(run, image)} {(run.Get(mark) == "ro" ? "True" : "False")}", token));
    }

    private static Command Limit(CommandLine cli)
    {
        var (pool, image, size) = (PoolVerb.Argument(), Image(), Bytes());
        return cli.Verb("limit", "Limit what an image takes on disk", ["mgmtctl pool image limit machines web 10GiB"], [pool, image, size], (run, token) =>
            CallAsync(run, "SetLimit", run.Get(pool)!, $"{Word(run, image)} {Text(run.Get(size)!)}", token));
    }

    private static async Task<int> CallAsync(Run run, string call, string pool, string payload, CancellationToken cancellationToken)
    {
        await run.Daemon.CallAsync("mgmt.pool.image." + call, pool, Daemon.Host, payload, cancellationToken);
        return ExitCode.Done;
    }

    private static string Word(Run run, Argument<string> argument) => Symbols.Word(run.Get(argument)!);

    private static string Text(string size) => size == None ? None : ByteSize.Parse(size).ToString();

    private static Argument<string> Image() => new(ImageName) { Description = "The image" };

    private static Argument<string> NewName() => new("NEW") { Description = "The new name" };

    private static Argument<string> Bytes() => new("SIZE") { Description = "Bytes, or such as 512MiB or 10GiB; none for no limit" };
}
