namespace Mgmt.State.Sqlite;

/// <summary>Primary result codes; an extended code has one of them in its low byte. SOURCE: https://www.sqlite.org/rescode.html.</summary>
internal static class SqliteResult
{
    internal const int Ok = 0;
    internal const int Busy = 5;
    internal const int Locked = 6;
    internal const int Full = 13;
    internal const int TooBig = 18;
    internal const int Constraint = 19;
    internal const int Mismatch = 20;
    internal const int Row = 100;
    internal const int Done = 101;

    internal static int Primary(int code) => code & 0xff;
}
