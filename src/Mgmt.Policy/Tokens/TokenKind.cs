namespace Mgmt.Policy;

internal enum TokenKind : byte
{
    Any,
    AnyVm,
    AdminVm,
    Default,
    DispVm,
    Name,
    Uuid,
    Tag,
    Type,
    DispVmOf,
    DispVmTag,
}
