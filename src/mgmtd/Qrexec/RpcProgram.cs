using System.Net.Sockets;
using System.Text;
using Mgmt.Wire;

namespace Mgmt.Daemon;

// header = SERVICE "+" ARGUMENT SP SOURCE SP ( "name" SP VM / "keyword" SP WORD ) NUL, then standard input to its end
/// <summary>
/// A service of qrexec as a program, <c>mgmtd rpc SERVICE [ARGUMENT]</c>, for the services that clients run by their path: standard input becomes the payload, the
/// reply frame goes to standard output. Source and target come from qrexec's environment.
/// </summary>
internal static class RpcProgram
{
    private const string DefaultSocket = "/run/mgmtd/mgmtd.sock";

    /// <summary>A client of Qubes OS has the console itself at the other end of this service: no mark of OK before it, and it is over soon after its input, as with Qubes' own (socat).</summary>
    private const string ConsoleService = "admin.vm.Console";

    private static readonly TimeSpan s_afterConsoleInput = TimeSpan.FromSeconds(0.5);

    private const string Punctuation = "_.-:@+";

    /// <summary>Exit status: 0 with a reply, whatever it says; 1 without; 2 for wrong usage.</summary>
    internal static async Task<int> RunAsync(string service, string argument)
    {
        try
        {
            var header = Header(service, argument, Environment.GetEnvironmentVariable);
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Environment.GetEnvironmentVariable("MGMT_SOCKET") ?? DefaultSocket));
            await using var stream = new NetworkStream(socket);
            await using var output = Console.OpenStandardOutput();
            // Both at once: a call that is refused is answered before its data has ended, and then nobody waits for the rest.
            var isConsole = service == ConsoleService;
            var sending = SendAsync(socket, stream, header, isConsole);
            var replied = await ReplyAsync(stream, output, withoutMark: isConsole);
            if (sending.IsCompleted)
            {
                await sending;
            }
            return replied ? 0 : 1;
        }
        catch (FormatException error)
        {
            await Console.Error.WriteLineAsync($"mgmtd-rpc: {error.Message}");
            return 2;
        }
        catch (Exception error) when (error is SocketException or IOException)
        {
            await Console.Error.WriteLineAsync($"mgmtd-rpc: {error.Message}");
            return 1;
        }
    }

    /// <summary>The header of a request. ERRORS: FormatException for a word that would shift the others, or a source or target that is missing.</summary>
    internal static byte[] Header(string service, string argument, Func<string, string?> environment)
    {
        var source = Word("QREXEC_REMOTE_DOMAIN", environment("QREXEC_REMOTE_DOMAIN"));
        var isKeyword = environment("QREXEC_REQUESTED_TARGET_TYPE") == "keyword";
        var target = isKeyword
            ? Word("QREXEC_REQUESTED_TARGET_KEYWORD", environment("QREXEC_REQUESTED_TARGET_KEYWORD"))
            : Word("QREXEC_REQUESTED_TARGET", environment("QREXEC_REQUESTED_TARGET"));
        var named = argument.Length == 0 ? "" : Word("the argument", argument);
        return Encoding.ASCII.GetBytes($"{Word("the service", service)}+{named} {source} {(isKeyword ? "keyword" : "name")} {target}\0");
    }

    private static async Task<bool> ReplyAsync(NetworkStream from, Stream to, bool withoutMark)
    {
        var buffer = new byte[64 * 1024];
        var any = false;
        if (withoutMark && await from.ReadAtLeastAsync(buffer.AsMemory(0, ReplyWriter.OkMark.Length), ReplyWriter.OkMark.Length, throwOnEndOfStream: false) is var begun)
        {
            any = begun > 0;
            if (!buffer.AsSpan(0, begun).SequenceEqual(ReplyWriter.OkMark.Span))
            {
                await to.WriteAsync(buffer.AsMemory(0, begun));
            }
        }
        while (await from.ReadAsync(buffer) is var count and > 0)
        {
            await to.WriteAsync(buffer.AsMemory(0, count));
            await to.FlushAsync();
            any = true;
        }
        return any;
    }

    private static async Task SendAsync(Socket socket, NetworkStream stream, byte[] header, bool isConsole)
    {
        try
        {
            await stream.WriteAsync(header);
            await using var input = Console.OpenStandardInput();
            await input.CopyToAsync(stream);
            socket.Shutdown(SocketShutdown.Send);
            if (isConsole)
            {
                await Task.Delay(s_afterConsoleInput);
                socket.Shutdown(SocketShutdown.Receive);
            }
        }
        catch (Exception error) when (error is SocketException or IOException)
        {
            // It did not want the rest; what it answered counts.
        }
    }

    private static string Word(string what, string? text) => text is { Length: > 0 } && text.All(c => char.IsAsciiLetterOrDigit(c) || Punctuation.Contains(c, StringComparison.Ordinal))
        ? text
        : throw new FormatException($"{what} is missing, or has characters that no name has");
}
