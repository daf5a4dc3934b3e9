namespace Mgmt.Core;

/// <summary>A colour that VMs are marked with. Index orders labels; 1 to 8 are built in. Color is <c>0xRRGGBB</c>.</summary>
public sealed record Label(LabelName Name, int Index, string Color);
