namespace Mgmt.Core;

/// <summary>Refuses a document that names what it does not hold.</summary>
internal sealed class ReferenceCheck
{
    private static readonly string[] VmProperties = ["netvm", "default_dispvm", "management_dispvm", "guivm", "audiovm", "relayvm"];
    private static readonly string[] GlobalVmProperties =
        ["default_netvm", "default_dispvm", "management_dispvm", "default_guivm", "default_audiovm", "updatevm", "clockvm"];
    private static readonly string[] GlobalPoolProperties =
        ["default_pool", "default_pool_root", "default_pool_private", "default_pool_volatile", "default_pool_kernel"];

    private readonly HostSeed _seed;
    private readonly Dictionary<string, VmRecord> _vms;
    private readonly HashSet<string> _labels;
    private readonly HashSet<string> _pools;
    private readonly HashSet<(PoolName Pool, Vid Vid)> _volumes;

    private ReferenceCheck(HostSeed seed)
    {
        _seed = seed;
        _vms = seed.Vms.ToDictionary(vm => vm.Name.Value, StringComparer.Ordinal);
        _labels = [.. seed.Labels.Select(label => label.Name.Value)];
        _pools = [.. seed.Pools.Select(pool => pool.Name.Value)];
        _volumes = [.. seed.Vms.SelectMany(vm => vm.Volumes.Values).Where(v => v.Vid is not null).Select(v => (v.Pool, v.Vid!.Value))];
    }

    /// <summary>ERRORS: QubesValueError.</summary>
    public static void Run(HostSeed seed) => new ReferenceCheck(seed).Run();

    private void Run()
    {
        foreach (var vm in _seed.Vms)
        {
            Check(vm);
        }
        foreach (var name in GlobalVmProperties)
        {
            Vm(_seed.Properties.GetValueOrDefault(name), DocumentPath.Of("properties", name));
        }
        Template(_seed.Properties.GetValueOrDefault("default_template"), VmClass.TemplateVM, DocumentPath.Of("properties", "default_template"));
        foreach (var name in GlobalPoolProperties)
        {
            if (_seed.Properties.GetValueOrDefault(name) is { Length: > 0 } pool && !_pools.Contains(pool))
            {
                throw DocumentPath.Refuse(DocumentPath.Of("properties", name), "there is no such pool");
            }
        }
    }

    private void Check(VmRecord vm)
    {
        foreach (var device in vm.Assignments.Keys)
        {
            Vm(device.Backend.Value, DocumentPath.Of("vms", vm.Name.Value, "devices", device.Class.Name, device.ToString()));
        }
        foreach (var name in VmProperties)
        {
            Vm(vm.Property(name), PropertyPath(vm, name));
        }
        // A disposable starts from an AppVM, everything else that has a template from a TemplateVM.
        Template(vm.Property("template"), vm.Class == VmClass.DispVM ? VmClass.AppVM : VmClass.TemplateVM, PropertyPath(vm, "template"));
        if (vm.Property("label") is { } label && !_labels.Contains(label))
        {
            throw DocumentPath.Refuse(PropertyPath(vm, "label"), "there is no such label");
        }
        foreach (var volume in vm.Volumes.Values)
        {
            Check(vm, volume);
        }
    }

    private void Check(VmRecord vm, VolumeRecord volume)
    {
        if (!_pools.Contains(volume.Pool.Value))
        {
            throw DocumentPath.Refuse(DocumentPath.Of("vms", vm.Name.Value, "volumes", volume.Name.Wire(), "pool"), "there is no such pool");
        }
        if (volume.Source is { } source && (source == volume.Vid || !_volumes.Contains((volume.Pool, source))))
        {
            throw DocumentPath.Refuse(DocumentPath.Of("vms", vm.Name.Value, "volumes", volume.Name.Wire(), "source"), "there is no such other volume in its pool");
        }
    }

    private void Vm(string? name, string path)
    {
        if (name is { Length: > 0 } && !_vms.ContainsKey(name))
        {
            throw DocumentPath.Refuse(path, "there is no such VM");
        }
    }

    private void Template(string? name, VmClass wanted, string path)
    {
        Vm(name, path);
        if (name is { Length: > 0 } && _vms[name].Class != wanted)
        {
            throw DocumentPath.Refuse(path, $"the VM is no {wanted}");
        }
    }

    private static string PropertyPath(VmRecord vm, string name) => DocumentPath.Of("vms", vm.Name.Value, "properties", name);
}
