import type { ClipboardEvent } from "react";
import { bytes, plural } from "../../format/numbers";
import { Button, buttonClass } from "../../parts/button";
import { AreaField, Select } from "../../parts/field";
import { ImagePlus, Send, X } from "../../parts/icons";
import { toast } from "../../parts/toast";
import type { Side } from "./chat";
import css from "./playground.module.css";
import { setInput, usePlayground } from "./store";
import { TIMES } from "./stored";

interface ComposerProps {
  side: Side;
  label: string;
  disabledBecause: string | undefined;
  onSend: () => void;
}

/** Maximum bytes of an image: the relay takes bodies of up to 32 MiB. */
const MAX_IMAGE = 8 << 20;

export function Composer({ side, label, disabledBecause, onSend }: ComposerProps) {
  const { text, images, lost = 0 } = usePlayground((state) => state.input[side]);
  const isEmpty = text.trim() === "" && images.length === 0;
  const reason = disabledBecause ?? (isEmpty ? "Write a message" : undefined);
  const submit = () => {
    if (reason === undefined) onSend();
  };
  const pasted = (event: ClipboardEvent) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    void add(side, event.clipboardData.files);
  };
  const remove = (url: string) =>
    setInput(side, (old) => ({ ...old, images: old.images.filter((image) => image !== url) }));
  return (
    <form
      className={css.composer}
      onPaste={pasted}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void add(side, event.dataTransfer.files);
      }}
    >
      <AreaField
        label={label}
        rows={3}
        value={text}
        onChange={(text) => setInput(side, (old) => ({ ...old, text }))}
        hint={lost > 0 ? `${plural(lost, "image")} went with the reload of the page. Add them again.` : undefined}
        aria-keyshortcuts="Control+Enter"
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <div className={css.composerRow}>
        <label className={`${buttonClass()} ${css.attach}`}>
          <ImagePlus size={16} aria-hidden="true" />
          Add images
          <input
            type="file"
            accept="image/*"
            multiple
            onChange={(event) => {
              void add(side, [...(event.target.files ?? [])]);
              event.target.value = "";
            }}
          />
        </label>
        {images.map((url, at) => (
          <Button key={`${at} ${url.length}`} small icon={X} title="Remove the image" onClick={() => remove(url)}>
            {nameOf(url)}
          </Button>
        ))}
        <span className={css.spring}>
          <kbd>Ctrl</kbd> <kbd>Enter</kbd>
        </span>
        <Times />
        <Button kind="primary" type="submit" icon={Send} disabledBecause={reason}>
          Send
        </Button>
      </div>
    </form>
  );
}

function Times() {
  const times = usePlayground((state) => state.times);
  return (
    <div>
      <Select
        aria-label="How often"
        title="The same request several times, at most five at once"
        value={String(times)}
        onChange={(chosen) => usePlayground.setState({ times: TIMES.find((one) => String(one) === chosen) ?? 1 })}
        options={TIMES.map((one) => [String(one), one === 1 ? "once" : `${one} times`])}
      />
    </div>
  );
}

/** Returns the type and size of an image for its button. */
function nameOf(url: string): string {
  const [, kind = "image"] = /^data:image\/([a-z]+)/.exec(url) ?? [];
  return url.startsWith("data:") ? `${kind}, ${bytes(Math.floor((url.length * 3) / 4))}` : "image at an address";
}

async function add(side: Side, files: Iterable<File>): Promise<void> {
  for (const file of files) {
    if (!file.type.startsWith("image/")) {
      toast(`${file.name} is no image; only images can be sent.`, { kind: "bad" });
      continue;
    }
    if (file.size > MAX_IMAGE) {
      toast(`${file.name} has ${bytes(file.size)}; an image may have ${bytes(MAX_IMAGE)}.`, { kind: "bad" });
      continue;
    }
    try {
      const url = await dataUrl(file);
      setInput(side, ({ text, images }) => ({ text, images: [...images, url] }));
    } catch {
      toast(`${file.name} cannot be read.`, { kind: "bad" });
    }
  }
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
