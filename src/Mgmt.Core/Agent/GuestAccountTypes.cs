namespace Mgmt.Core;

/// <summary>Of guest-set-user-password: the password, or what crypt() made of it.</summary>
public sealed record GuestSetUserPasswordArguments(string Username, ReadOnlyMemory<byte> Password, bool Crypted);

/// <summary>Of guest-ssh-get-authorized-keys.</summary>
public sealed record GuestSshArguments(string Username);

/// <summary>Of guest-ssh-add-authorized-keys: lines of authorized_keys; with reset they are all there is.</summary>
public sealed record GuestSshAddArguments(string Username, IReadOnlyList<string> Keys, bool? Reset = null);

/// <summary>Of guest-ssh-remove-authorized-keys.</summary>
public sealed record GuestSshRemoveArguments(string Username, IReadOnlyList<string> Keys);

/// <summary>Lines of authorized_keys.</summary>
public sealed record GuestAuthorizedKeys(IReadOnlyList<string> Keys);
