using System.Net.Sockets;
using System.Text;
using Mgmt.Wire.Tests;

namespace Mgmt.Cli.Tests;

/// <summary>console against a daemon that repeats what it is told.</summary>
[CancelAfter(20_000)]
public sealed class ConsoleVerbTests
{
    private static ScriptedDaemon Echo(Func<Socket, CancellationToken, Task> serve) => new(ScriptedDaemon.NewPath(), (_, socket, token) => serve(socket, token), readPayload: false);

    private static Task SayAsync(Socket socket, string text, CancellationToken token) => socket.SendAsync(Encoding.ASCII.GetBytes(text), token).AsTask();

    [Test]
    public async Task Keys_go_to_the_guest_until_the_one_that_leaves(CancellationToken token)
    {
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var daemon = Echo(async (socket, stop) =>
        {
            await SayAsync(socket, "0\0login: ", stop);
            var all = "";
            var buffer = new byte[100];
            try
            {
                for (int n; (n = await socket.ReceiveAsync(buffer, stop)) > 0;)
                {
                    all += Encoding.ASCII.GetString(buffer, 0, n);
                }
            }
            catch (SocketException)
            {
                // Who leaves does not read what was printed; what was typed comes first all the same.
            }
            heard.SetResult(all);
        });
        using var keys = new MemoryStream("root\r\u0003\u001dafter"u8.ToArray());
        var ctl = new Ctl(daemon.Path) { InputIsTerminal = true, Keys = keys };
        Assert.That(await ctl.RunAsync(token, "console", "work"), Is.Zero);
        Assert.That(await heard.Task.WaitAsync(token), Is.EqualTo("root\r\u0003"));
        Assert.That(ctl.Error, Is.EqualTo("mgmtctl: Ctrl-] leaves the console\n"));
    }

    [Test]
    public async Task A_pipe_is_typed_and_what_is_printed_is_followed_to_its_end(CancellationToken token)
    {
        await using var daemon = Echo(async (socket, stop) =>
        {
            await SayAsync(socket, "0", stop);
            await SayAsync(socket, "\0old ", stop);
            var heard = new MemoryStream();
            var buffer = new byte[100];
            for (int n; (n = await socket.ReceiveAsync(buffer, stop)) > 0;)
            {
                heard.Write(buffer, 0, n);
            }
            await SayAsync(socket, "heard " + Encoding.ASCII.GetString(heard.ToArray()), stop);
        });
        var ctl = new Ctl(daemon.Path) { Input = "ls\n\u001d" };
        Assert.That(await ctl.RunAsync(token, "console", "work"), Is.Zero);
        Assert.That(ctl.Out, Is.EqualTo("old heard ls\n\u001d"));
    }

    [TestCase("2\0MgmtBusyError\0\0Somebody has the console already\0", 1, "mgmtctl: Somebody has the console already\n")]
    [TestCase("2\0PermissionDenied\0\0Denied\0", 126, "mgmtctl: Denied\n")]
    [TestCase("", 1, "mgmtctl: Empty reply: the daemon closed the connection without an answer\n")]
    public async Task A_refusal_is_a_line_and_nothing_is_typed(string answer, int code, string error, CancellationToken token)
    {
        await using var daemon = Echo((socket, stop) => SayAsync(socket, answer, stop));
        var ctl = new Ctl(daemon.Path) { Input = "typed" };
        Assert.That((await ctl.RunAsync(token, "console", "work"), ctl.Error), Is.EqualTo((code, error)));
    }
}
