using System.Runtime.CompilerServices;
using Mgmt.Core;
using Spectre.Console;

namespace Mgmt.Cli.Rendering;

/// <summary>
/// Shows people how far a transfer is, on standard error: a bar when that is a terminal, else nothing, or a plain line now and then when asked for.
/// Work that nobody watches is given no progress to report to.
/// </summary>
internal static class ProgressBar
{
    public static Task<T> RunAsync<T>(Terminal terminal, string title, long total, Func<IProgress<long>?, Task<T>> work) =>
        terminal.ErrorIsTerminal ? ShowAsync(terminal, title, total, progress => work(new OfTotal(progress, total))) : work(null);

    /// <summary>As above where the total may be told later. <paramref name="plainLines"/>: without a terminal, a line at most each second.</summary>
    public static Task<T> RunAsync<T>(Run run, string title, long total, bool plainLines, Func<IProgress<CopyProgress>?, Task<T>> work) =>
        run.Terminal.ErrorIsTerminal ? ShowAsync(run.Terminal, title, total, work)
        : work(plainLines ? new ProgressLines(run.Terminal.Error, title, run.Time) : null);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task<T> ShowAsync<T>(Terminal terminal, string title, long total, Func<IProgress<CopyProgress>, Task<T>> work)
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
            .StartAsync(context => work(new Bar(context.AddTask(Markup.Escape(title), maxValue: Math.Max(total, 1)))));
    }

    private sealed class Bar(ProgressTask bar) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value)
        {
            bar.IsIndeterminate = value.TotalBytes <= 0;
            bar.MaxValue = Math.Max(value.TotalBytes, 1);
            bar.Value = value.DoneBytes;
        }
    }

    private sealed class OfTotal(IProgress<CopyProgress> progress, long total) : IProgress<long>
    {
        public void Report(long value) => progress.Report(new CopyProgress(value, total));
    }
}
