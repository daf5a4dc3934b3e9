namespace Mgmt.Api;

/// <summary>Whether a call takes an argument and what it is, in one word for the documentation.</summary>
public sealed record ArgumentRule
{
    private ArgumentRule(string? name, bool required, bool mgmtOnly)
    {
        Name = name;
        IsRequired = required;
        MgmtOnly = mgmtOnly;
    }

    /// <summary>No argument.</summary>
    public static ArgumentRule None { get; } = new(null, false, false);

    /// <summary>What the argument is; null when none is taken.</summary>
    public string? Name { get; }

    /// <summary>Whether the call needs it.</summary>
    public bool IsRequired { get; }

    /// <summary>Taken in the mgmt dialect only: the identifier that narrows a list to one line.</summary>
    public bool MgmtOnly { get; }

    /// <summary>An argument that must be there.</summary>
    public static ArgumentRule Required(string name) => new(name, true, false);

    /// <summary>An argument that may be there.</summary>
    public static ArgumentRule Optional(string name) => new(name, false, false);

    /// <summary>The identifier of one entry of a list.</summary>
    public static ArgumentRule OneEntry(string name) => new(name, false, true);

    /// <summary>Checks presence. ERRORS: ProtocolError.</summary>
    public void Check(string argument, bool mgmt)
    {
        if (argument.Length == 0 && IsRequired)
        {
            throw mgmt ? new MgmtException(ErrorCode.ProtocolError, "expected an argument (%s)", Name!) : new MgmtException(ErrorCode.ProtocolError, "expected an argument");
        }
        if (argument.Length > 0 && (Name is null || (MgmtOnly && !mgmt)))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "unexpected argument");
        }
    }
}
