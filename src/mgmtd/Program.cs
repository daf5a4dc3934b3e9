Console.Error.WriteLine("mgmtd: not built yet"); return 1;
