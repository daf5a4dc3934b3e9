using System.Runtime.CompilerServices;
using Spectre.Console;

namespace Mgmt.Cli.Rendering;

/// <summary>Shows people how far a transfer is, on standard error; shows nothing when nobody looks.</summary>
internal static class ProgressBar
{
    public static Task<T> RunAsync<T>(Terminal terminal, string title, long total, Func<IProgress<long>?, Task<T>> work) =>
        terminal.ErrorIsTerminal ? ShowAsync(terminal, title, total, work) : work(null);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task<T> ShowAsync<T>(Terminal terminal, string title, long total, Func<IProgress<long>?, Task<T>> work)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = terminal.Variable("TERM") is "dumb" ? AnsiSupport.No : AnsiSupport.Yes,
            Interactive = terminal.Variable("TERM") is "dumb" ? InteractionSupport.No : InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(terminal.Error),
        });
        return console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(context =>
            {
                var bar = context.AddTask(Markup.Escape(title), maxValue: Math.Max(total, 1));
                return work(new Progress(bar));
            });
    }

    private sealed class Progress(ProgressTask bar) : IProgress<long>
    {
        public void Report(long value) => bar.Value = value;
    }
}
