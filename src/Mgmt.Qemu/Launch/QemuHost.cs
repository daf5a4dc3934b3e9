namespace Mgmt.Qemu;

/// <summary>What was found out about running guests here: the accelerator's options, the CPU model guests get, and why.</summary>
internal sealed record QemuHost(string Accelerator, string CpuModel, string Reason)
{
    /// <summary>Full emulation. Of the models tried the plain one boots a stock kernel fastest: less is found, less is emulated.</summary>
    public static QemuHost Tcg(string reason) => new("tcg", "qemu64", reason);

    /// <summary>Hardware virtualization.</summary>
    public static QemuHost Kvm(string reason) => new("kvm", KvmCpuModel, reason);

    /// <summary>The model guests get under KVM, and the one the probe runs with.</summary>
    public const string KvmCpuModel = "host";

    /// <summary>Whether guests run on the processor itself.</summary>
    public bool IsKvm => Accelerator == "kvm";
}
