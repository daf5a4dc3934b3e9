using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Api.Tests;

/// <summary>A guest whose agent freezes and thaws, or falls silent; what it was asked is noted.</summary>
internal sealed class FreezingGuest
{
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();
    private readonly List<string> _asked = [];

    internal FreezingGuest(FakeVm vm, TimeProvider clock)
    {
        _clock = clock;
        vm.State = AgentState.Ready;
        vm.OnAgent = AnswerAsync;
    }

    internal bool IsFrozen { get; set; }

    /// <summary>Commands, without <c>guest-fsfreeze-</c>, that are not answered; a silent freeze may freeze all the same.</summary>
    internal HashSet<string> Silent { get; } = [];

    internal bool FreezesInSilence { get; set; }

    internal MgmtException? Refusal { get; set; }

    internal Action OnFreeze { get; set; } = () => { };

    internal List<string> Asked
    {
        get
        {
            lock (_gate)
            {
                return [.. _asked];
            }
        }
    }

    private async Task<JsonElement> AnswerAsync(string command, TimeSpan deadline, CancellationToken cancellation)
    {
        var word = command.Replace("guest-fsfreeze-", "", StringComparison.Ordinal);
        bool silent;
        lock (_gate)
        {
            _asked.Add(word);
            silent = Silent.Contains(word);
        }
        if (word == "freeze")
        {
            OnFreeze();
            IsFrozen |= FreezesInSilence;
        }
        if (silent)
        {
            await Task.Delay(deadline, _clock, cancellation);
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "silent");
        }
        if (word == "freeze" && Refusal is { } refusal)
        {
            throw refusal;
        }
        return JsonSerializer.SerializeToElement<object>(word switch
        {
            "freeze" => Set(true),
            "thaw" => Set(false),
            "status" => IsFrozen ? "frozen" : "thawed",
            _ => throw new MgmtException(ErrorCode.MgmtUnsupportedError, "not known"),
        });
    }

    /// <summary>Of its one file system.</summary>
    private int Set(bool frozen)
    {
        var changed = IsFrozen != frozen;
        IsFrozen = frozen;
        return changed ? 1 : 0;
    }

    internal void Speak()
    {
        lock (_gate)
        {
            Silent.Clear();
        }
    }
}
