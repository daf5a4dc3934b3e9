using System.Runtime.InteropServices;

namespace Mgmt.Cli;

/// <summary>
/// How wide the terminal on standard output is. Asking Console would set the terminal up for keyboard input, which
/// writes escape sequences to it.
/// </summary>
internal static partial class TerminalWidth
{
    private const int Descriptor = 1;
    private const nuint GetWindowSize = 0x5413;
    private const int Narrowest = 40;
    private const int Usual = 80;

    public static int Get() => Control(Descriptor, GetWindowSize, out var size) == 0 && size.Columns > 0 ? Math.Max((int)size.Columns, Narrowest) : Usual;

    /// <summary>Rows and columns; 0 when there is no terminal.</summary>
    public static (int Rows, int Columns) Size() => Control(Descriptor, GetWindowSize, out var size) == 0 ? (size.Rows, size.Columns) : (0, 0);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(int descriptor, nuint request, out WindowSize size);

    /// <summary>struct winsize of the kernel.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort WidthPixels;
        public ushort HeightPixels;
    }
}
