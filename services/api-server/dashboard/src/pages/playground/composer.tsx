import { type ClipboardEvent, useState } from "react";
import { bytes } from "../../format/numbers";
import { Button, buttonClass } from "../../parts/button";
import { AreaField } from "../../parts/field";
import { ImagePlus, Send, X } from "../../parts/icons";
import { toast } from "../../parts/toast";
import css from "./playground.module.css";

interface ComposerProps {
  disabledBecause: string | undefined;
  onSend: (text: string, images: string[]) => void;
}

interface Image {
  name: string;
  size: number;
  url: string;
}

/** Maximum bytes of an image: the relay takes bodies of up to 32 MiB. */
const MAX_IMAGE = 8 << 20;

export function Composer({ disabledBecause, onSend }: ComposerProps) {
  const [text, setText] = useState("");
  const [images, setImages] = useState<Image[]>([]);
  const reason = disabledBecause ?? (text.trim() === "" && images.length === 0 ? "Write a message" : undefined);
  const submit = () => {
    if (reason !== undefined) return;
    onSend(
      text,
      images.map(({ url }) => url),
    );
    setText("");
    setImages([]);
  };
  const add = async (files: Iterable<File>) => {
    for (const file of files) {
      if (!file.type.startsWith("image/")) continue;
      if (file.size > MAX_IMAGE) {
        toast(`${file.name} has ${bytes(file.size)}; an image may have ${bytes(MAX_IMAGE)}.`, { kind: "bad" });
        continue;
      }
      const url = await dataUrl(file);
      setImages((old) => [...old, { name: file.name, size: file.size, url }]);
    }
  };
  const pasted = (event: ClipboardEvent) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    void add(event.clipboardData.files);
  };
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
        void add(event.dataTransfer.files);
      }}
    >
      <AreaField
        label="Message"
        rows={3}
        value={text}
        onChange={setText}
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
              void add([...(event.target.files ?? [])]);
              event.target.value = "";
            }}
          />
        </label>
        {images.map((image, at) => (
          <Button
            key={`${image.name} ${at}`}
            small
            icon={X}
            title="Remove the image"
            onClick={() => setImages((old) => old.filter((one) => one !== image))}
          >
            {image.name}, {bytes(image.size)}
          </Button>
        ))}
        <span className={css.spring}>
          <kbd>Ctrl</kbd> <kbd>Enter</kbd>
        </span>
        <Button kind="primary" type="submit" icon={Send} disabledBecause={reason}>
          Send
        </Button>
      </div>
    </form>
  );
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
