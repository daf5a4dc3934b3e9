using Mgmt.Core;

namespace Mgmt.Machined.Tests;

public sealed class MachineNameTests
{
    [TestCase("work", "mgmt-7-work")]
    [TestCase("sys-net", "mgmt-7-sys-net")]
    [TestCase("my_vm.2", "mgmt-7-my-vm-2")]
    [TestCase("Work", "mgmt-7--ork")]
    [TestCase("vmA", "mgmt-7-vm-x")]
    [TestCase("a-", "mgmt-7-a-x")]
    public void A_name_is_the_qid_and_the_name_in_lower_case_letters_digits_and_hyphens(string name, string machine) =>
        Assert.That(MachineName.For(7, VmName.Parse(name)), Is.EqualTo(machine));

    [Test]
    public void The_longest_name_fits() =>
        Assert.That(MachineName.For(int.MaxValue, VmName.Parse(new string('a', 31))), Has.Length.LessThanOrEqualTo(64));
}
