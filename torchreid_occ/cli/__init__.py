"""The console command `torchreid-occ`: a file a subcommand, which parses and calls the library."""
