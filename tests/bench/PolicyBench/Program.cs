using System.Globalization;
using Mgmt.Bench;

// policy-bench write N FILE        a rule file of N rules of many kinds
// policy-bench load DIR            the time to load a policy directory: at first, then again
// policy-bench decide SHAPE N      the time and the memory of a decision that the last of N rules makes; SHAPE is services, sources or tags
return args switch
{
    ["write", var count, var file] => RuleFiles.Write(int.Parse(count, CultureInfo.InvariantCulture), file),
    ["load", var directory] => LoadBench.Run(directory),
    ["decide", var shape, var count] => DecisionBench.Run(shape, int.Parse(count, CultureInfo.InvariantCulture)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: policy-bench write N FILE | load DIR | decide services|sources|tags N");
    return 2;
}
