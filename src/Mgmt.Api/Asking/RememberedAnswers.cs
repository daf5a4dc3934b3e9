namespace Mgmt.Api;

/// <summary>
/// Yeses to questions that a front end had asked before it delivers the call: each is good for one call of the same source, service, argument
/// and target, for 60 s. What is not here is asked again, so at the bound nothing is remembered.
/// </summary>
public sealed class RememberedAnswers(TimeProvider clock)
{
    private const int Most = 256;
    private readonly Lock _gate = new();
    private readonly Dictionary<AskSubject, long> _since = [];

    /// <summary>How long a yes is good for.</summary>
    public static TimeSpan Lifetime { get; } = TimeSpan.FromSeconds(60);

    internal void Remember(AskSubject subject)
    {
        lock (_gate)
        {
            foreach (var (old, since) in _since)
            {
                if (clock.GetElapsedTime(since) >= Lifetime)
                {
                    _since.Remove(old);
                }
            }
            if (_since.Count < Most)
            {
                _since[subject] = clock.GetTimestamp();
            }
        }
    }

    /// <summary>Whether there is one; it is used up.</summary>
    internal bool Take(AskSubject subject)
    {
        lock (_gate)
        {
            return _since.Remove(subject, out var since) && clock.GetElapsedTime(since) < Lifetime;
        }
    }
}

/// <summary>What a yes is about. The ids keep it from counting for another VM that got the name meanwhile.</summary>
internal sealed record AskSubject(string Source, Guid? SourceId, CallQuestion Question, Guid? TargetId)
{
    internal static AskSubject Of(HostState state, string source, CallQuestion question) =>
        new(source, Targets.FindVm(state, source)?.Uuid, question, Targets.FindVm(state, question.Target)?.Uuid);
}
