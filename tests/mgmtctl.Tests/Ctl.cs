using System.Text;

namespace Mgmt.Cli.Tests;

/// <summary>mgmtctl with its streams in memory. Reading standard input without having been told fails the test.</summary>
internal sealed class Ctl(string socket)
{
    private readonly SharedOutput _out = new();
    private Action? _resized;
    private readonly StringWriter _error = new();

    public bool OutIsTerminal { get; init; }

    public bool InputIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    public string? Input { get; init; }

    /// <summary>What is pressed, when it is written; reading keys without it fails the test.</summary>
    public Stream? Keys { get; init; }

    /// <summary>Of the terminal, when it is asked for.</summary>
    public (int Rows, int Columns) Size { get; set; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public int Width { get; init; } = 80;

    public Dictionary<string, string> Variables { get; } = new() { ["MGMT_SOCKET"] = socket };

    public string Out => Encoding.UTF8.GetString(_out.ToArray());

    public byte[] OutBytes => _out.ToArray();

    public string Error => _error.ToString();

    /// <summary>Waits for a text in its output.</summary>
    public Task UntilOutAsync(string text, CancellationToken token) => _out.UntilAsync(text, token);

    /// <summary>The terminal has another size.</summary>
    public void Resized() => _resized!();

    /// <summary>Runs it with a daemon that gives every request this answer; gives the exit code and keeps the requests.</summary>
    public static async Task<(int Code, Ctl Ctl, IReadOnlyList<string> Requests)> AgainstAsync(string latin1, CancellationToken token, params string[] args) =>
        await AgainstAsync(_ => latin1, token, args);

    public static async Task<(int Code, Ctl Ctl, IReadOnlyList<string> Requests)> AgainstAsync(Func<string, string> latin1, CancellationToken token, params string[] args)
    {
        await using var daemon = Wire.Tests.ScriptedDaemon.Answering(Wire.Tests.ScriptedDaemon.NewPath(), request => Encoding.Latin1.GetBytes(latin1(request)));
        var ctl = new Ctl(daemon.Path);
        return (await ctl.RunAsync(token, args), ctl, daemon.Requests);
    }

    public Task<int> RunAsync(CancellationToken token, params string[] args) => Program.RunAsync(
        new Terminal
        {
            Out = _out,
            Error = _error,
            OpenInput = () => Input is null ? throw new AssertionException("standard input was read") : new MemoryStream(Encoding.UTF8.GetBytes(Input)),
            OpenKeys = () => Keys ?? throw new AssertionException("keys were read"),
            OpenRawKeys = () => Keys ?? throw new AssertionException("keys were read"),
            Size = () => Size,
            OnResize = changed =>
            {
                _resized = changed;
                return new MemoryStream();
            },
            OutIsTerminal = OutIsTerminal,
            InputIsTerminal = InputIsTerminal,
            ErrorIsTerminal = ErrorIsTerminal,
            Width = () => Width,
            Variable = name => Variables.GetValueOrDefault(name),
        },
        args,
        Time,
        token);
}
