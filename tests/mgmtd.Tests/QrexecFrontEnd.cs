using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// What a stock qrexec does once its policy has allowed a call to the host: finds the service among the files that make install has put there, connects it when
/// it is a socket, else runs it. SOURCE: qrexec-core 4.4, service lookup and execution on the host.
/// </summary>
internal sealed class QrexecFrontEnd(string root)
{
    private string Services => Path.Combine(root, "etc/qubes-rpc");

    /// <summary>Makes install's links point to where this daemon serves and where the program was installed, below the root instead of on this host.</summary>
    internal void PointTo(string socket)
    {
        foreach (var path in Directory.GetFileSystemEntries(Services))
        {
            var target = new FileInfo(path).LinkTarget!;
            File.Delete(path);
            File.CreateSymbolicLink(path, target == "/run/mgmtd/mgmtd.sock" ? socket : root + target);
        }
    }

    /// <summary>A call of a VM; the target is a VM's name, or a keyword with its @. Gives what the caller reads.</summary>
    internal async Task<string> CallAsync(string source, string target, string service, byte[] input)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var (name, argument) = service.Split('+', 2) is [var before, var after] ? (before, after) : (service, "");
        // NAME+ARG first, then NAME, for the file and for its configuration.
        var file = new[] { $"{name}+{argument}", name }.Select(n => Path.Combine(Services, n)).First(path => File.Exists(path));
        var (kind, word) = target.StartsWith('@') ? ("keyword", target[1..]) : ("name", target);
        return Scenario.Text(await (new FileInfo(file).LinkTarget!.EndsWith(".sock", StringComparison.Ordinal)
            ? ConnectAsync(file, SkipsDescriptor(name) ? "" : $"{name}+{argument} {source} {kind} {word}\0", input, limit.Token)
            : ExecuteAsync(file, name, argument, source, kind, word, input, limit.Token)));
    }

    private bool SkipsDescriptor(string name)
    {
        var path = Path.Combine(root, "etc/qubes/rpc-config", name);
        var settings = File.ReadAllLines(path).Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split('=')).ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);
        Assert.That(settings.Values, Is.All.AnyOf("true", "false"), "qrexec refuses a service with any other word");
        return settings.GetValueOrDefault("skip-service-descriptor") == "true";
    }

    private static async Task<byte[]> ConnectAsync(string path, string descriptor, byte[] input, CancellationToken cancellation)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
        await socket.SendAsync((byte[])[.. Encoding.ASCII.GetBytes(descriptor), .. input], SocketFlags.None, cancellation);
        socket.Shutdown(SocketShutdown.Send);
        return await DaemonProcess.ReadToEndAsync(socket, cancellation);
    }

    private static async Task<byte[]> ExecuteAsync(string file, string name, string argument, string source, string kind, string word, byte[] input, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(file, argument.Length > 0 ? [argument] : []) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var (key, value) in new[]
        {
            ("QREXEC_REMOTE_DOMAIN", source), ("QREXEC_SERVICE_FULL_NAME", $"{name}+{argument}"), ("QREXEC_SERVICE_ARGUMENT", argument),
            ("QREXEC_REQUESTED_TARGET_TYPE", kind), (kind == "name" ? "QREXEC_REQUESTED_TARGET" : "QREXEC_REQUESTED_TARGET_KEYWORD", word),
            ("MGMT_SOCKET", new FileInfo(Path.Combine(Path.GetDirectoryName(file)!, "admin.vm.List")).LinkTarget!),
        })
        {
            start.Environment[key] = value;
        }
        using var process = Process.Start(start)!;
        var output = new MemoryStream();
        var reading = process.StandardOutput.BaseStream.CopyToAsync(output, cancellation);
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input, cancellation);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It had its answer before it had read everything.
        }
        await reading;
        await process.WaitForExitAsync(cancellation);
        Assert.That(process.ExitCode, Is.Zero);
        return output.ToArray();
    }
}
