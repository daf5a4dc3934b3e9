namespace Mgmt.Policy;

internal enum FileStatus
{
    Found,
    NotAFile,
    TooLarge,
    Unreadable,
}
