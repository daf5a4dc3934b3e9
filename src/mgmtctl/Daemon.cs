using System.Text;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>The daemon as the verbs see it: a refusal is an exception. ERRORS: what the daemon says; those of <see cref="MgmtClient"/>.</summary>
internal sealed class Daemon(MgmtClient client)
{
    public const string Host = "dom0";

    /// <summary>Whether calls name who makes them; from a guest they do not.</summary>
    public bool NamesSource => client.NamesSource;

    /// <summary>Bytes that a call answers.</summary>
    public Task<ReadOnlyMemory<byte>> CallAsync(string method, string argument, string destination, string payload, CancellationToken cancellationToken) =>
        CallAsync(Header(method, argument, destination), Encoding.UTF8.GetBytes(payload), cancellationToken);

    public async Task<ReadOnlyMemory<byte>> CallAsync(RequestHeader header, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        Content(await client.CallAsync(header, payload, cancellationToken));

    /// <summary>As above with a payload that is streamed.</summary>
    public async Task<ReadOnlyMemory<byte>> CallAsync(RequestHeader header, Stream payload, IProgress<long>? progress, CancellationToken cancellationToken) =>
        Content(await client.CallAsync(header, payload, progress, cancellationToken));

    /// <summary>As above with bytes before the stream's.</summary>
    public async Task<ReadOnlyMemory<byte>> CallAsync(RequestHeader header, ReadOnlyMemory<byte> first, Stream rest, IProgress<long>? progress, CancellationToken cancellationToken) =>
        Content(await client.CallAsync(header, first, rest, progress, cancellationToken));

    /// <summary>Text that a call without payload answers.</summary>
    public async Task<string> TextAsync(string method, string argument, string destination, CancellationToken cancellationToken) =>
        Encoding.UTF8.GetString((await CallAsync(method, argument, destination, "", cancellationToken)).Span);

    /// <summary>Lines that a call without payload answers.</summary>
    public async Task<string[]> LinesAsync(string method, string argument, string destination, CancellationToken cancellationToken) =>
        (await TextAsync(method, argument, destination, cancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public IAsyncEnumerable<MgmtEvent> EventsAsync(string destination, EventFilter filter, CancellationToken cancellationToken) =>
        client.EventsAsync(Header("mgmt.Events", "", destination), filter, cancellationToken);

    /// <summary>What running VMs use: of all, or of one; and the stream's own events.</summary>
    public IAsyncEnumerable<MgmtEvent> StatsAsync(string destination, CancellationToken cancellationToken) =>
        client.EventsAsync(Header("mgmt.vm.Stats", "", destination), new EventFilter(), cancellationToken);

    /// <summary>A call whose content comes in frames. ERRORS: what the daemon refuses.</summary>
    public async Task<FramedCall> OpenAsync(string method, string argument, ReadOnlyMemory<byte> payload, bool endInput, CancellationToken cancellationToken) =>
        new(await client.OpenAsync(Header(method, argument, Host), payload, endInput, cancellationToken));

    /// <summary>The questions of ask rules, and the stream's own events.</summary>
    public IAsyncEnumerable<MgmtEvent> QuestionsAsync(CancellationToken cancellationToken) =>
        client.EventsAsync(Header("mgmt.policy.Agent", "", Host), new EventFilter(), cancellationToken);

    /// <summary>The console of a VM: what is read it prints, what is written it reads.</summary>
    public Task<CallStream> ConsoleAsync(string vm, CancellationToken cancellationToken) => client.OpenAsync(Header("mgmt.vm.Console", "", vm), default, endInput: false, cancellationToken);

    private static RequestHeader Header(string method, string argument, string destination) =>
        new(method, argument, Host, DestinationKind.Name, destination);

    private static ReadOnlyMemory<byte> Content(Reply reply) => reply switch
    {
        Reply.Ok ok => ok.Content,
        Reply.Failure failure => throw failure.ToException(),
        _ => throw new InvalidOperationException("a reply of no known kind"),
    };
}
