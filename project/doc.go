// Package project keeps what people teach models with: projects of classes of pictures, what was trained on them, and
// the training that is under way.
//
// A [Store] is a folder. Its records are in one file of bbolt; pictures are files as they came, under the SHA-256 of
// their bytes:
//
//	projects.db
//	<project>/pictures/<sha256>      as uploaded
//	<project>/thumbnails/<sha256>    JPEG, made again if missing
//	<project>/runs/<job>/            checkpoints and the finished model of a fine-tuning
//	kept/<model>/                    models that were taken out of projects, to be served
//
// <project> and <model> are identifiers that the store draws; the names that people give are text in records and never a path. A
// picture's file is complete on disk before a record speaks of it, and outlives the last record that does: a kill at any
// moment leaves at most a file that nothing speaks of, which [Open] removes.
//
// The records are few and small, and read a project at a time, which is what bbolt is for: transactions that survive a
// kill, in one file, in Go alone. SQLite in Go (modernc.org/sqlite) is a translation of its C, forty times the code, for
// queries that nobody asks here.
package project
