using System.Runtime.InteropServices;
using Mgmt.Cli.Asking;

namespace Mgmt.Cli;

/// <summary>Where mgmtctl runs: its streams, whether people look at them, and its environment.</summary>
internal sealed class Terminal
{
    public required Stream Out { get; init; }

    public required TextWriter Error { get; init; }

    /// <summary>Standard error for bytes, where there is more than text.</summary>
    public Func<Stream>? OpenError { get; init; }

    /// <summary>Opened by the few verbs that were told to read, never before.</summary>
    public required Func<Stream> OpenInput { get; init; }

    /// <summary>Single keys, until it is disposed; only where standard input is a terminal. Each read gives what came together.</summary>
    public Func<Stream> OpenKeys { get; init; } = () => new Keyboard();

    /// <summary>As OpenKeys with every key as it is, Ctrl-C too.</summary>
    public Func<Stream> OpenRawKeys { get; init; } = () => new Keyboard(raw: true);

    /// <summary>Rows and columns of the terminal on standard output.</summary>
    public Func<(int Rows, int Columns)> Size { get; init; } = TerminalWidth.Size;

    /// <summary>Calls back when that changed, until what it gives is disposed.</summary>
    public Func<Action, IDisposable> OnResize { get; init; } = changed => PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => changed());

    public bool InputIsTerminal { get; init; }

    public bool OutIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    /// <summary>Columns of the terminal; asked only when there is one.</summary>
    public Func<int> Width { get; init; } = () => 80;

    public Func<string, string?> Variable { get; init; } = _ => null;

    public static Terminal OfProcess() => new()
    {
        Out = new StandardOutput(),
        Error = Console.Error,
        OpenError = Console.OpenStandardError,
        OpenInput = Console.OpenStandardInput,
        InputIsTerminal = !Console.IsInputRedirected,
        OutIsTerminal = !Console.IsOutputRedirected,
        ErrorIsTerminal = !Console.IsErrorRedirected,
        Width = TerminalWidth.Get,
        Variable = Environment.GetEnvironmentVariable,
    };
}
