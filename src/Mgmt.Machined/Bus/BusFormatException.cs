namespace Mgmt.Machined.Bus;

/// <summary>A message that is not of the shape expected. Never leaves the bus thread: it becomes BadReply.</summary>
internal sealed class BusFormatException(string message) : Exception(message);
