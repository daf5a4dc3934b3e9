using System.Diagnostics;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>A method of a machined that answers as a test says, and a registry that asks it.</summary>
internal sealed class HostilePeer : IAsyncDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromMilliseconds(200);
    private readonly ScriptedBus _bus = new();
    private readonly HostileMethod _method;
    private MachinedRegistry _registry;

    public HostilePeer(HostileMethod method)
    {
        _method = method;
        _bus.Script = Answer;
        _registry = NewRegistry();
    }

    /// <summary>The reply to the method under test; null for a proper one.</summary>
    public Func<uint, ScriptedReply>? Reply { get; set; }

    /// <summary>A file that is a terminal, to come with proper answers.</summary>
    public SafeFileHandle? File { get; init; }

    /// <summary>A proper reply with another signature or body.</summary>
    public ScriptedReply With(uint serial, string signature, byte[] body) =>
        new(ScriptedBus.Return(serial, signature, body, (uint)_method.Files)) { Files = _method.Files > 0 ? [File!] : [] };

    public ScriptedReply Proper(uint serial) => With(serial, _method.Signature, _method.Body().Bytes);

    /// <summary>What the method gives, or the code of its one error; over a connection of its own.</summary>
    public async Task<string> AskAnewAsync(CancellationToken token)
    {
        await _registry.DisposeAsync();
        _registry = NewRegistry();
        return await AskAsync(token);
    }

    /// <summary>What the method gives, or the code of its one error.</summary>
    public async Task<string> AskAsync(CancellationToken token)
    {
        var clock = Stopwatch.StartNew();
        try
        {
            return await _method.Ask(_registry, token);
        }
        catch (MgmtException error)
        {
            return error.Code.ToString();
        }
        finally
        {
            Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(5)), "the deadline holds");
        }
    }

    /// <summary>The same registry asks until it has its answer: what went wrong before has not broken it.</summary>
    public async Task RecoversAsync(CancellationToken token)
    {
        Reply = null;
        while (await AskAsync(token) != _method.Read)
        {
            token.ThrowIfCancellationRequested();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _registry.DisposeAsync();
        await _bus.DisposeAsync();
    }

    private ScriptedReply? Answer(string member, uint serial)
    {
        if (member == _method.Member)
        {
            return Reply?.Invoke(serial) ?? Proper(serial);
        }
        return member switch
        {
            "GetAll" or "GetImage" or "ListImages" when _method.First is { } first =>
                new ScriptedReply(ScriptedBus.Return(serial, member switch { "GetAll" => "a{sv}", "GetImage" => "o", _ => "a(ssbttto)" }, first().Bytes)),
            _ => null,
        };
    }

    private MachinedRegistry NewRegistry() => new(
        new MachinedOptions { BusAddress = _bus.Address, MachineDeadline = s_deadline, PlaceDeadline = s_deadline, ImageDeadline = s_deadline, ImageCopyDeadline = s_deadline },
        TimeProvider.System, NullLogger<MachinedRegistry>.Instance);
}
