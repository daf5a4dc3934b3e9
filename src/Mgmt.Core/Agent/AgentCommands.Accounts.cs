using static Mgmt.Core.AgentJson;

namespace Mgmt.Core;

// The guest's user accounts.
public static partial class AgentCommands
{
    /// <summary>Sets a password in the guest.</summary>
    public static AgentCommand<GuestSetUserPasswordArguments, GuestNothing> SetUserPassword { get; } =
        new("guest-set-user-password", "SetUserPassword", "Sets a password in the guest.", Default.GuestSetUserPasswordArguments, Default.GuestNothing);

    /// <summary>The keys that may log in as a user.</summary>
    public static AgentCommand<GuestSshArguments, GuestAuthorizedKeys> SshAuthorizedKeys { get; } =
        new("guest-ssh-get-authorized-keys", "SshAuthorizedKeys", "The keys that may log in as a user.", Default.GuestSshArguments, Default.GuestAuthorizedKeys);

    /// <summary>Adds keys that may log in as a user.</summary>
    public static AgentCommand<GuestSshAddArguments, GuestNothing> SshAddAuthorizedKeys { get; } =
        new("guest-ssh-add-authorized-keys", "SshAddAuthorizedKeys", "Adds keys that may log in as a user.", Default.GuestSshAddArguments, Default.GuestNothing);

    /// <summary>Removes keys that may log in as a user.</summary>
    public static AgentCommand<GuestSshRemoveArguments, GuestNothing> SshRemoveAuthorizedKeys { get; } =
        new("guest-ssh-remove-authorized-keys", "SshRemoveAuthorizedKeys", "Removes keys that may log in as a user.", Default.GuestSshRemoveArguments, Default.GuestNothing);
}
