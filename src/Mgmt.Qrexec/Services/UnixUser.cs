using System.Globalization;

namespace Mgmt.Qrexec;

/// <summary>A user of this host, from /etc/passwd.</summary>
internal sealed record UnixUser(string Name, uint Uid, uint Gid, string Home, string Shell)
{
    /// <summary>SHAPE of a line: <c>name:password:uid:gid:comment:home:shell</c>. Null when nobody is called that.</summary>
    internal static UnixUser? Find(string name)
    {
        foreach (var line in File.ReadLines("/etc/passwd"))
        {
            var fields = line.Split(':');
            if (fields.Length == 7 && fields[0] == name && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var uid) && uint.TryParse(fields[3], NumberStyles.None, CultureInfo.InvariantCulture, out var gid))
            {
                return new(name, uid, gid, fields[5], fields[6]);
            }
        }
        return null;
    }
}
