using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// The services of this host: programs and sockets in directories, the first that has one. Looked for is <c>NAME+ARGUMENT</c> in all of them, and then <c>NAME</c>. SOURCE: qrexec, as of
/// qubes-core-qrexec 4.3.
/// </summary>
public sealed class HostServices(HostServiceOptions options, TimeProvider clock, ILogger<HostServices> log)
{
    /// <summary>The longest name of a file.</summary>
    private const int MaxName = 255;

    /// <summary>
    /// The service, ready to be run; null when there is none. ERRORS: ServiceBrokenException when there is one that cannot be run: a link to nothing, a file that is no program, a
    /// configuration with an error, a user that nobody knows.
    /// </summary>
    public IService? Find(ServiceRequest request)
    {
        string[] names = [request.FullName, request.Name];
        foreach (var name in names.Where(IsFileName))
        {
            foreach (var path in options.Directories.Select(directory => Path.Combine(directory, name)))
            {
                switch (FileKinds.Of(path))
                {
                    case FileKind.Program:
                        var config = Config(names);
                        return new ProgramService(path, request, (config.ForceUser ?? options.User) is { } user ? UserOf(path, user) : null, options, clock, log);
                    case FileKind.Socket:
                        return new SocketService(path, request, Config(names));
                    case FileKind.Unusable:
                        throw new ServiceBrokenException($"{path} is neither a program nor a socket");
                    default:
                        break;
                }
            }
        }
        return null;
    }

    private static bool IsFileName(string name) => name.Length is > 0 and <= MaxName && name is not ("." or "..") && !name.Contains('/', StringComparison.Ordinal);

    private static UnixUser UserOf(string path, string name) =>
        UnixUser.Find(name) ?? throw new ServiceBrokenException($"{path}: there is no user {name} for it to run as");

    private ServiceConfig Config(string[] names)
    {
        foreach (var path in names.Where(IsFileName).SelectMany(name => options.ConfigDirectories.Select(directory => Path.Combine(directory, name))))
        {
            try
            {
                return ServiceConfig.Read(path);
            }
            catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
            {
                // The next one.
            }
            catch (Exception error) when (error is FormatException or IOException or UnauthorizedAccessException)
            {
                throw new ServiceBrokenException($"{path}: {error.Message}", error);
            }
        }
        return new();
    }
}

/// <summary>Where services of the host are, and what one may take.</summary>
public sealed record HostServiceOptions
{
    /// <summary>Directories of programs and sockets, the first that has one counts.</summary>
    public IReadOnlyList<string> Directories { get; init; } = ["/run/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes-rpc"];

    /// <summary>Directories of their configuration.</summary>
    public IReadOnlyList<string> ConfigDirectories { get; init; } = ["/run/qubes/rpc-config", "/usr/local/etc/qubes/rpc-config", "/etc/qubes/rpc-config"];

    /// <summary>The user that programs run as unless their configuration says another; null: the daemon's own.</summary>
    public string? User { get; init; }

    /// <summary>Whether what a program writes to its standard error goes to the caller; otherwise to the log.</summary>
    public bool ErrorsToCaller { get; init; }

    /// <summary>Between asking a program to end and ending it; and for what it left behind to close its output.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A service of the host is there and cannot be run. The message is for the log, not for the caller.</summary>
public sealed class ServiceBrokenException(string message, Exception? inner = null) : Exception(message, inner);
