namespace Mgmt.Machined.Bus;

/// <summary>A method call to make. Arguments are written on the bus thread.</summary>
internal sealed record BusCall(string Destination, string Path, string Interface, string Member, Action<BusWriter>? Arguments = null)
{
    /// <summary>After this the bus gives up waiting for the answer.</summary>
    public TimeSpan AnswerWithin { get; init; } = TimeSpan.FromSeconds(30);
}
