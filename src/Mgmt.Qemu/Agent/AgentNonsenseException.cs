namespace Mgmt.Qemu;

/// <summary>The agent said something outside its protocol; the session gets into step again.</summary>
internal sealed class AgentNonsenseException(string message, Exception? inner) : Exception(message, inner);
