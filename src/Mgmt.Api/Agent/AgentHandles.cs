using System.Security.Cryptography;

namespace Mgmt.Api;

/// <summary>
/// The files and processes of one VM's agent that callers hold. A caller never sees the guest's own numbers: it is given 128 random bits as 32 hexadecimal digits,
/// good for this VM, this agent and this caller only. A guest that answers the same number twice, or an agent that starts anew, gives nobody another's file.
/// </summary>
internal sealed class AgentHandles
{
    internal const int MaxOfCaller = 64;
    internal const int MaxOfVm = 256;
    private const int Digits = 32;

    private readonly Lock _gate = new();
    // Guarded by _gate; reserved places have no number yet.
    private readonly Dictionary<string, Held> _held = new(StringComparer.Ordinal);

    /// <summary>Takes a place for what is about to be opened. ERRORS: MgmtBusyError.</summary>
    internal string Reserve(string caller, AgentHandleKind kind, long session)
    {
        lock (_gate)
        {
            // An agent that is gone closed its files and forgot its processes.
            foreach (var gone in _held.Where(one => one.Value.Session != session).Select(one => one.Key).ToList())
            {
                _held.Remove(gone);
            }
            if (_held.Count >= MaxOfVm || _held.Values.Count(held => held.Caller == caller) >= MaxOfCaller)
            {
                throw new MgmtException(ErrorCode.MgmtBusyError, "too many files and processes of this guest are held; close files, and ask processes for their status until they have ended");
            }
            var id = RandomNumberGenerator.GetHexString(Digits, lowercase: true);
            _held[id] = new(caller, kind, session, null);
            return id;
        }
    }

    /// <summary>Gives a place its number; false when the agent is not that any more.</summary>
    internal void Fill(string id, long number)
    {
        lock (_gate)
        {
            if (_held.TryGetValue(id, out var held))
            {
                _held[id] = held with { Number = number };
            }
        }
    }

    /// <summary>The guest's number. ERRORS: QubesValueError, the same for what never was, what is another's, and what is gone.</summary>
    internal long Number(string id, string caller, AgentHandleKind kind, long session)
    {
        lock (_gate)
        {
            return _held.TryGetValue(id, out var held) && held.Caller == caller && held.Kind == kind && held.Session == session && held.Number is { } number
                ? number
                : throw new MgmtException(ErrorCode.QubesValueError, "no such %s: it was never given to this caller, it is over, or the guest's agent was started anew", kind == AgentHandleKind.File ? "handle" : "pid");
        }
    }

    internal void Remove(string id)
    {
        lock (_gate)
        {
            _held.Remove(id);
        }
    }

    private sealed record Held(string Caller, AgentHandleKind Kind, long Session, long? Number);
}

/// <summary>What a handle is of.</summary>
internal enum AgentHandleKind
{
    /// <summary>An open file.</summary>
    File,
    /// <summary>A process.</summary>
    Process,
}
