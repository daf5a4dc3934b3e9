namespace Mgmt.Api;

/// <summary>
/// One call: everything the daemon, the default policy, the rpc-services entries, the documentation and the completion need to
/// know of it. <see cref="Name"/> is without the prefix: <c>vm.Start</c> is served as <c>mgmt.vm.Start</c>; a service of Qubes OS is served as it is named.
/// </summary>
public sealed record CallRow(
    string Name,
    CallTarget Target,
    CallAccess Access,
    CallScope Scope,
    ArgumentRule Argument,
    PayloadRule Payload,
    CallDialects Dialects,
    string Summary,
    CallHandler Handler)
{
    /// <summary>What the OK content looks like, for the documentation.</summary>
    public string Returns { get; init; } = "-";

    /// <summary>The questions beyond the first that the policy is asked; all must be allowed.</summary>
    public Func<CallContext, IEnumerable<CallQuestion>>? MoreQuestions { get; init; }

    /// <summary>The second spelling of the argument, <c>+NAME+VALUE</c>, that value rules match; null when the value does not fit one.</summary>
    public Func<CallContext, string?>? ValueArgument { get; init; }

    /// <summary>What the policy is asked instead of the argument as it came (a size in it is not the policy's business).</summary>
    public Func<string, string>? AskedArgument { get; init; }

    /// <summary>Whether an ask counts as a deny: of calls whose answer goes on being asked about (events), and of those that answer questions themselves.</summary>
    public bool AskIsDenial { get; init; }

    /// <summary>Whether the call yields events instead of one reply.</summary>
    public bool IsStream { get; init; }

    /// <summary>How the content of the reply is sent. Other than whole, it goes out through <see cref="CallContext.Output"/>.</summary>
    public ContentKind Content { get; init; }

    /// <summary>Whether the streamed payload is typed by somebody: silence is no fault.</summary>
    public bool IsInteractive { get; init; }

    /// <summary>Whether call.Cancel and a caller that goes away may end it although it changes something (it only waits).</summary>
    public bool IsCancellable { get; init; }
}

/// <summary>A call's work. The content of the OK reply comes back; errors are thrown.</summary>
public delegate ValueTask<ReadOnlyMemory<byte>> CallHandler(CallContext call, CancellationToken cancellation);

/// <summary>One question to the policy: may the caller use this service with this argument on this target?</summary>
public sealed record CallQuestion(string Service, string Argument, string Target)
{
    internal const string OwnPrefix = "qubes.";

    /// <summary>The service as the policy knows it: with <c>mgmt.</c>, unless it is one of Qubes OS.</summary>
    public string FullService => Full(Service);

    /// <summary>A row's name as callers and the policy know it.</summary>
    internal static string Full(string name) => name.StartsWith(OwnPrefix, StringComparison.Ordinal) ? name : "mgmt." + name;
}

/// <summary>Calls that belong together; their rows stand above their handlers.</summary>
public interface ICallGroup
{
    /// <summary>The rows.</summary>
    IEnumerable<CallRow> Rows { get; }
}
