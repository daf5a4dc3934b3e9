namespace Mgmt.Machined.Bus;

/// <summary>Names of the bus itself and of the errors that are told apart. SOURCE: D-Bus specification, "Message Bus Messages".</summary>
internal static class BusNames
{
    public const string Bus = "org.freedesktop.DBus";
    public const string BusPath = "/org/freedesktop/DBus";
    public const string Properties = "org.freedesktop.DBus.Properties";

    public const string NoReply = "org.freedesktop.DBus.Error.NoReply";
    public const string ServiceUnknown = "org.freedesktop.DBus.Error.ServiceUnknown";
    public const string NameHasNoOwner = "org.freedesktop.DBus.Error.NameHasNoOwner";
    public const string TimedOut = "org.freedesktop.DBus.Error.TimedOut";
    public const string AccessDenied = "org.freedesktop.DBus.Error.AccessDenied";
    public const string NotSupported = "org.freedesktop.DBus.Error.NotSupported";
    public const string InvalidArguments = "org.freedesktop.DBus.Error.InvalidArgs";
    public const string FileNotFound = "org.freedesktop.DBus.Error.FileNotFound";
    public const string FileExists = "org.freedesktop.DBus.Error.FileExists";
    public const string NoSpace = "System.Error.ENOSPC";
    public const string QuotaExceeded = "System.Error.EDQUOT";
    public const string UnknownObject = "org.freedesktop.DBus.Error.UnknownObject";
    public const string SpawnPrefix = "org.freedesktop.DBus.Error.Spawn.";
}
