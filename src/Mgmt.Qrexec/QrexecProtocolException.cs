namespace Mgmt.Qrexec;

/// <summary>The peer broke the protocol. Its channel is closed; nobody else notices.</summary>
public sealed class QrexecProtocolException(string message) : Exception(message);
