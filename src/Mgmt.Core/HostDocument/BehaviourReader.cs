namespace Mgmt.Core;

/// <summary>
/// <code>
/// behaviour = { delays?: { start?, agent?, shutdown?, pause?, kill?, launch?, adopt?, copy?, freeze? }, faults?: faults }     delays in ms
/// faults    = { launch?, continue?, copy?: "fails: " MESSAGE, shutdown?: "ignored", agent?: "absent" | "silent", lost-after-ms?, crash-after-ms?: MS,
///               machined?: WORD, storage?: { create?, start?, stop?, import?: MESSAGE, no-space?: BOOL } }
/// </code>
/// What is not there is as the default says; null takes a fault of the default away.
/// </summary>
internal static class BehaviourReader
{
    private const string Fails = "fails: ";
    private const long MaxMilliseconds = 24 * 60 * 60 * 1000;

    public static VmBehaviour Read(DocumentNode node, VmBehaviour byDefault)
    {
        var fields = node.Fields("delays", "faults");
        return new VmBehaviour
        {
            Delays = fields.Find("delays") is { } delays ? Delays(delays, byDefault.Delays) : byDefault.Delays,
            Faults = fields.Find("faults") is { } faults ? Faults(faults, byDefault.Faults) : byDefault.Faults,
        };
    }

    private static VmDelays Delays(DocumentNode node, VmDelays byDefault)
    {
        var fields = node.Fields("start", "agent", "shutdown", "pause", "kill", "launch", "adopt", "copy", "freeze");
        return new VmDelays
        {
            Start = Or(fields, "start", byDefault.Start, Milliseconds),
            Agent = Or(fields, "agent", byDefault.Agent, Milliseconds),
            Shutdown = Or(fields, "shutdown", byDefault.Shutdown, Milliseconds),
            Pause = Or(fields, "pause", byDefault.Pause, Milliseconds),
            Kill = Or(fields, "kill", byDefault.Kill, Milliseconds),
            Launch = Or(fields, "launch", byDefault.Launch, Milliseconds),
            Copy = Or(fields, "copy", byDefault.Copy, Milliseconds),
            Freeze = Or(fields, "freeze", byDefault.Freeze, Milliseconds),
            Adopt = Or(fields, "adopt", byDefault.Adopt, Milliseconds),
        };
    }

    private static VmFaults Faults(DocumentNode node, VmFaults byDefault)
    {
        var fields = node.Fields("launch", "continue", "copy", "shutdown", "agent", "lost-after-ms", "crash-after-ms", "machined", "storage");
        return new VmFaults
        {
            Launch = Or(fields, "launch", byDefault.Launch, OrNull(Failure)),
            Continue = Or(fields, "continue", byDefault.Continue, OrNull(Failure)),
            Copy = Or(fields, "copy", byDefault.Copy, OrNull(Failure)),
            IgnoresShutdown = Or(fields, "shutdown", byDefault.IgnoresShutdown, Ignored),
            Agent = Or(fields, "agent", byDefault.Agent, Agent),
            LostAfter = Or(fields, "lost-after-ms", byDefault.LostAfter, n => n.IsNull ? null : Milliseconds(n)),
            CrashAfter = Or(fields, "crash-after-ms", byDefault.CrashAfter, n => n.IsNull ? null : Milliseconds(n)),
            Machined = Or(fields, "machined", byDefault.Machined, OrNull(Word)),
            Storage = Or(fields, "storage", byDefault.Storage, n => n.IsNull ? new StorageFaults() : Storage(n, byDefault.Storage)),
        };
    }

    private static StorageFaults Storage(DocumentNode node, StorageFaults byDefault)
    {
        var fields = node.Fields("create", "start", "stop", "import", "no-space");
        return new StorageFaults
        {
            Create = Or(fields, "create", byDefault.Create, OrNull(Message)),
            Start = Or(fields, "start", byDefault.Start, OrNull(Message)),
            Stop = Or(fields, "stop", byDefault.Stop, OrNull(Message)),
            Import = Or(fields, "import", byDefault.Import, OrNull(Message)),
            NoSpace = Or(fields, "no-space", byDefault.NoSpace, n => !n.IsNull && n.Flag()),
        };
    }

    private static T Or<T>(DocumentFields fields, string name, T byDefault, Func<DocumentNode, T> read) =>
        fields.Find(name) is { } node ? read(node) : byDefault;

    private static Func<DocumentNode, string?> OrNull(Func<DocumentNode, string> read) => node => node.IsNull ? null : read(node);

    private static TimeSpan Milliseconds(DocumentNode node) => TimeSpan.FromMilliseconds(node.Number(0, MaxMilliseconds));

    private static string Message(DocumentNode node) => node.Text() is { Length: > 0 and <= 1000 } text ? text : throw node.Refuse("must be a message of 1 to 1000 characters");

    private static string Failure(DocumentNode node)
    {
        var text = Message(node);
        return text.Length > Fails.Length && text.StartsWith(Fails, StringComparison.Ordinal) ? text[Fails.Length..] : throw node.Refuse("must be 'fails: ' and a message");
    }

    private static bool Ignored(DocumentNode node) =>
        !node.IsNull && (node.Text() == "ignored" ? true : throw node.Refuse("must be 'ignored'"));

    private static AgentFault Agent(DocumentNode node) => (node.IsNull ? null : node.Text()) switch
    {
        null => AgentFault.None,
        "absent" => AgentFault.Absent,
        "silent" => AgentFault.Silent,
        _ => throw node.Refuse("must be 'absent' or 'silent'"),
    };

    private static string Word(DocumentNode node)
    {
        var text = node.Text();
        return text.Length is > 0 and <= 64 && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
            ? text
            : throw node.Refuse("must be a word of a-z, 0-9 and -");
    }
}
