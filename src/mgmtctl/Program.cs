Console.Error.WriteLine("mgmtctl: not built yet"); return 1;
