using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Mgmt.Core;

/// <summary>One command of the QEMU guest agent: everything that has to be known to ask it and to judge its answer. SOURCE: QEMU Guest Agent Protocol Reference; <c>qemu-ga -b help</c> of 7.2.</summary>
public abstract record AgentCommand
{
    private protected AgentCommand(string name, string call, string summary, JsonTypeInfo arguments, JsonTypeInfo result)
    {
        Name = name;
        Call = call;
        Summary = summary;
        Arguments = arguments;
        Result = result;
    }

    /// <summary>As the agent knows it: <c>guest-get-osinfo</c>.</summary>
    public string Name { get; }

    /// <summary>As the API does: <c>OsInfo</c> of <c>mgmt.vm.agent.OsInfo</c>. Without <c>guest-</c> and <c>get-</c>, capitalised.</summary>
    public string Call { get; }

    /// <summary>A sentence for the documentation.</summary>
    public string Summary { get; }

    /// <summary>The shape of the arguments.</summary>
    public JsonTypeInfo Arguments { get; }

    /// <summary>The shape of <c>return</c>.</summary>
    public JsonTypeInfo Result { get; }

    /// <summary>For waiting in the queue and for the answer.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest answer in bytes that is read.</summary>
    public int MaxResultBytes { get; init; } = 1 << 20;

    /// <summary>Whether success is answered. Otherwise it is silence, and only an error is said.</summary>
    public bool Answers { get; init; } = true;

    /// <summary>How long a command that does not answer is listened to for an error.</summary>
    public TimeSpan Listening { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The argument that names an open file or a process, if there is one.</summary>
    public string? HandleArgument { get; init; }

    /// <summary>Whether callers of the API may use it. The others keep the agent's stream in step, which is the daemon's.</summary>
    public bool IsCallable { get; init; } = true;

    /// <summary>Whether it can be asked without arguments.</summary>
    public bool NeedsArguments => Arguments.Properties.Any(AgentShape.IsNeeded);
}

/// <summary>A command with the types of its arguments and of its answer.</summary>
public sealed record AgentCommand<TArguments, TResult> : AgentCommand
{
    internal AgentCommand(string name, string call, string summary, JsonTypeInfo<TArguments> arguments, JsonTypeInfo<TResult> result)
        : base(name, call, summary, arguments, result) => (TypedArguments, TypedResult) = (arguments, result);

    private JsonTypeInfo<TArguments> TypedArguments { get; }

    private JsonTypeInfo<TResult> TypedResult { get; }

    /// <summary>The arguments as the agent reads them; null for none.</summary>
    public string? Write(TArguments arguments) => arguments is GuestNothing ? null : JsonSerializer.Serialize(arguments, TypedArguments);

    /// <summary>The agent's answer. ERRORS: MgmtUnavailableError for one that has not the shape that the reference says.</summary>
    public TResult Read(JsonElement answer)
    {
        AgentShape.CheckResult(this, answer);
        try
        {
            return answer.Deserialize(TypedResult)!;
        }
        catch (JsonException e)
        {
            throw new MgmtException(e, ErrorCode.MgmtUnavailableError, "the guest agent's answer to %s makes no sense", Name);
        }
    }
}
