using System.Runtime.CompilerServices;
using Spectre.Console;

namespace Mgmt.Cli.Rendering;

/// <summary>A table for people. The only user of its library besides the progress bar: loading it costs more than most calls.</summary>
internal static class TerminalTable
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Write(TextWriter output, int width, string[] columns, IEnumerable<string[]> rows)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(output),
        });
        console.Profile.Width = width;
        var table = new Table { Border = TableBorder.None };
        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(new Text(column.ToUpperInvariant())) { Padding = new Padding(0, 0, 2, 0) });
        }
        foreach (var row in rows)
        {
            table.AddRow(row.Select(cell => new Text(cell)));
        }
        console.Write(table);
    }
}
