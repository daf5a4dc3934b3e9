using System.Globalization;

namespace Mgmt.Daemon;

/// <summary>Groups of this host by name, from /etc/group.</summary>
internal static class UnixGroups
{
    internal static uint? Find(string name)
    {
        try
        {
            foreach (var line in File.ReadLines("/etc/group"))
            {
                var fields = line.Split(':');
                if (fields.Length >= 3 && fields[0] == name && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var gid))
                {
                    return gid;
                }
            }
        }
        catch (IOException)
        {
            // Without the file there is no such group, and only root calls.
        }
        return null;
    }
}
